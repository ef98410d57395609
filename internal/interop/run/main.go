// The program run is `make interop`: it installs the peers, runs the tests of package interop on
// them, and prints what was tried. Its arguments go to go test: run -run TestInspector -v. With
// -jaeger as the first, it is `make test-jaeger`, which needs other ones. With -docs it runs the
// pages of the documentation that have programs in Python or TypeScript.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

func main() { os.Exit(start()) }

func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "interop: %v\n", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "-docs" {
		return docs(ctx, args[1:])
	}
	tools := toolbox.Tools()
	if len(args) > 0 && args[0] == "-jaeger" {
		tools, args = toolbox.Traced(), append([]string{"-run", "^TestJaeger$"}, args[1:]...)
	}
	if err := install(ctx, tools); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "openmas-interop-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // what is left lies among temporary files
	report := filepath.Join(work, "report.txt")
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-timeout=8m", "./internal/interop"},
		args...)...)
	cmd.Env = append(os.Environ(), "OPENMAS_INTEROP=1", "OPENMAS_INTEROP_REPORT="+report)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the tests end what they started
	ran := cmd.Run()
	table, err := os.ReadFile(report)
	if err == nil {
		_, err = fmt.Fprintf(os.Stdout, "\n%s", table)
	}
	if ran != nil {
		return fmt.Errorf("the tests failed: %w", ran)
	}
	return err
}
