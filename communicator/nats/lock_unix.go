//go:build unix

package nats

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryLock takes the lock on a file that ends with the process; nil when another process has it.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = errors.Join(err, f.Close())
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// readableByOthers reports whether the file is open to other users.
func readableByOthers(f os.FileInfo) bool { return f.Mode().Perm()&0o077 != 0 }

// ofAnother reports whether the file belongs to somebody else than this process runs as.
func ofAnother(f os.FileInfo) bool {
	st, ok := f.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) != os.Geteuid()
}
