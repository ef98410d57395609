//go:build unix

package statekey

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// checkOwner refuses a file that others can read, or that another user has put there.
func checkOwner(f os.FileInfo) error {
	if mode := f.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("has mode %v: other users can read it", mode)
	}
	if st, ok := f.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return errors.New("belongs to another user")
	}
	return nil
}
