package gobuild

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// A patience is how long a new program may take to come to openmas.Main: after quiet it is said
// that it is waited for, and after most it is given up.
type patience struct{ quiet, most time.Duration }

var mainPatience = patience{quiet: 3 * time.Second, most: 30 * time.Second}

// hangs is an error if a program does not come to openmas.Main. It takes the place of this one, and
// nobody would be left to say so: every command would be silent.
func hangs(ctx context.Context, exe, name string, env []string, p patience, errOut io.Writer) error {
	late := fmt.Errorf("%s has not come to openmas.Main within %v: see what its main does before that", name, p.most)
	ctx, cancel := context.WithTimeoutCause(ctx, p.most, late)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "--version")
	cmd.Env, cmd.WaitDelay = env, time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the program of %s: %w", name, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the command itself shows how the program ends
	}()
	select {
	case <-ended:
	case <-time.After(p.quiet):
		fmt.Fprintf(errOut, "openmas: %s (process %d) has not come to openmas.Main yet: it has %v\n", name,
			cmd.Process.Pid, p.most)
		<-ended
	}
	return context.Cause(ctx)
}

// isNew reports whether a file is another one than before; before is nil if there was none.
func isNew(path string, before os.FileInfo) bool {
	now, err := os.Stat(path)
	return err == nil && (before == nil || !os.SameFile(before, now))
}
