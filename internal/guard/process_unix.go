//go:build unix

package guard

import "syscall"

const supported = true

// detached: a Ctrl-C in the terminal, and its end, are not for the guard.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
