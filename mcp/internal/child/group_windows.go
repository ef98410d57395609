package child

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// DiesWithParent reports whether this platform ends a child when its parent is killed without a
// chance to stop it.
const DiesWithParent = true

// group is a job object: all that the child starts belongs to it, and it dies with the last handle
// to it, which is ours.
type group struct {
	job    windows.Handle
	pid    int
	reaped bool // the leader's number may be somebody else's by now
}

func newGroup() (*group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("create job object: %w", err)
	}
	var info windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	info.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	if err != nil {
		windows.CloseHandle(job) //nolint:errcheck // nothing is in it
		return nil, fmt.Errorf("set up job object: %w", err)
	}
	return &group{job: job}, nil
}

// attributes makes a console process group: a Ctrl-C in our console does not reach it, and
// CTRL_BREAK can be sent to it.
func (g *group) attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
}

// adopt puts the child into the job. What the child manages to start before, in its first instants,
// stays outside.
func (g *group) adopt(p *os.Process) error {
	g.pid = p.Pid
	var assigned error
	err := p.WithHandle(func(handle uintptr) {
		assigned = windows.AssignProcessToJobObject(g.job, windows.Handle(handle))
	})
	if err == nil {
		err = assigned
	}
	if err != nil {
		return fmt.Errorf("assign to job object: %w", err)
	}
	return nil
}

// terminate reaches console programs that share our console; others end by kill.
func (g *group) terminate() {
	if g.reaped {
		return
	}
	windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(g.pid)) //nolint:errcheck // kill follows
}

func (g *group) kill() {
	windows.TerminateJobObject(g.job, 1) //nolint:errcheck // fails if nothing is left in it
}

func (g *group) close() {
	windows.CloseHandle(g.job) //nolint:errcheck // it is ours and open
}

func signalName(*os.ProcessState) string { return "" }

// awaitExit waits until the process has ended and leaves it to be reaped. False: that is not needed
// here, a job has no number that could be taken by others.
func awaitExit(int) bool { return false }
