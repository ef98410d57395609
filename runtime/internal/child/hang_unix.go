//go:build unix

package child

import (
	"os"
	"syscall"
)

// abort ends a process. One of Go writes what its goroutines do.
func abort(p *os.Process) error { return p.Signal(syscall.SIGQUIT) }
