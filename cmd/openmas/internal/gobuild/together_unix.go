//go:build unix

package gobuild

import (
	"os/exec"
	"syscall"
)

// together has a go command end with what it has started when its context does. Interrupted, it
// removes its temporary files.
func together(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}
