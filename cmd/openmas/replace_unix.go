//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// replace turns this process into exe.
func replace(_ context.Context, exe string, env []string) error {
	return fmt.Errorf("run %s: %w", exe, syscall.Exec(exe, append([]string{exe}, os.Args[1:]...), env))
}
