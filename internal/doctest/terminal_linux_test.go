package doctest

import (
	"os"
	"syscall"
)

// onTerminal makes the terminal on a command's standard input the one that controls it.
func onTerminal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true, Setctty: true} }

// killSession ends the process and what it started.
func killSession(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) } // it may have ended just now
