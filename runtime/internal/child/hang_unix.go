//go:build unix

package child

import (
	"os"
	"os/exec"
	"syscall"
)

// together has a program and what it starts end together.
func together(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// kill ends a program with what it has started.
func kill(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

// abort ends a program with what it has started. One of Go writes what its goroutines do.
func abort(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGQUIT) }
