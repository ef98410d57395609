//go:build unix

package gobuild

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// replace turns this process into exe, which goes on holding use.
func replace(_ context.Context, exe string, use *os.File, env []string) error {
	if err := inherit(use); err != nil {
		return fmt.Errorf("run %s: %w", exe, err)
	}
	return fmt.Errorf("run %s: %w", exe, syscall.Exec(exe, append([]string{exe}, os.Args[1:]...), env))
}
