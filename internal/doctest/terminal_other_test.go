//go:build !linux

package doctest

import (
	"os"
	"syscall"
)

func onTerminal() *syscall.SysProcAttr { return nil }

func killSession(p *os.Process) { _ = p.Kill() }
