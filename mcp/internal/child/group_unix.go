//go:build unix

package child

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// group is a process group whose leader is the child.
type group struct {
	pid    int
	reaped bool // the leader's own number may be somebody else's by now
}

func newGroup() (*group, error) { return &group{}, nil }

func (g *group) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(attr)
	return attr
}

func (g *group) adopt(p *os.Process) error {
	g.pid = p.Pid
	return nil
}

// terminate asks the group to end. A stopped (SIGSTOP) process handles SIGTERM only when it
// continues.
func (g *group) terminate() {
	g.signal(unix.SIGTERM)
	g.signal(unix.SIGCONT)
}

func (g *group) kill() { g.signal(unix.SIGKILL) }

// signal signals the group, and the child itself if it has left its group; SIGKILL always goes to
// both. It fails only for processes that have ended, or that have changed their user: nothing can
// be done about those.
func (g *group) signal(s syscall.Signal) {
	err := unix.Kill(-g.pid, s)
	if !g.reaped && (s == unix.SIGKILL || errors.Is(err, unix.ESRCH)) {
		unix.Kill(g.pid, s) //nolint:errcheck // see above
	}
}

func (g *group) close() {}

func signalName(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return unix.SignalName(status.Signal())
	}
	return ""
}
