//go:build !linux

package doctest

import (
	"os"
	"syscall"
)

// openTerminal is written for Linux only.
func openTerminal() (ours, theirs *os.File, err error) { return nil, nil, errNoTerminal }

func onTerminal() *syscall.SysProcAttr { return nil }

func killSession(p *os.Process) { _ = p.Kill() }
