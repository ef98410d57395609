package gobuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/openmas/openmas/internal/cli"
)

// replace runs exe to its end and passes its exit code on: Windows cannot replace a process. Ctrl-C
// reaches both; the child drains, and this process waits for it.
func replace(_ context.Context, exe string, _ *os.File, env []string) error {
	cmd := exec.Command(exe, os.Args[1:]...) //nolint:noctx // the child ends by itself, in order; killing it would not let it
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run %s: %w", exe, err)
	}
	return cli.Exit(cmd.ProcessState.ExitCode())
}
