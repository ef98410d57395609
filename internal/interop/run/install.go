package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

// install installs the tools. One that this machine lacks a program for is left out, but for CI.
func install(ctx context.Context, tools []*toolbox.Tool) error {
	for _, t := range tools {
		err := t.Install(ctx, func(what string) { fmt.Fprintf(os.Stderr, "interop: %s: %s\n", t.Name(), what) })
		var missing *toolbox.Missing
		switch {
		case errors.As(err, &missing) && os.Getenv("CI") != "true":
			fmt.Fprintf(os.Stderr, "interop: %s: SKIPPED: %v\n", t.Name(), missing)
		case err != nil:
			return err
		}
	}
	return nil
}
