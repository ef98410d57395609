// The program run is `make interop`: it installs the peers, runs the tests of package interop on them, and prints what was tried. Its arguments go to
// go test: run -run TestInspector -v.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "interop: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	for _, t := range toolbox.Tools() {
		err := t.Install(ctx, os.Stderr)
		var missing *toolbox.Missing
		switch {
		case errors.As(err, &missing) && os.Getenv("CI") != "true":
			fmt.Fprintf(os.Stderr, "interop: %s: SKIPPED: %v\n", t.Name(), missing)
		case err != nil:
			return err
		}
	}
	work, err := os.MkdirTemp("", "openmas-interop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	report := filepath.Join(work, "report.txt")
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-timeout=8m", "./internal/interop"}, args...)...)
	cmd.Env = append(os.Environ(), "OPENMAS_INTEROP=1", "OPENMAS_INTEROP_REPORT="+report)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the tests end what they started
	ran := cmd.Run()
	if table, err := os.ReadFile(report); err == nil {
		fmt.Printf("\n%s", table)
	}
	if ran != nil {
		return fmt.Errorf("the tests failed: %w", ran)
	}
	return nil
}
