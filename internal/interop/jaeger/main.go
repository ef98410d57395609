// The program jaeger is `make jaeger`: it builds a Jaeger, once, and runs it on loopback, at the
// ports where OpenTelemetry looks for one, until it is interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

func main() { os.Exit(start()) }

func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "jaeger: %v\n", err)
		return 1
	}
	return 0
}

// The ports of OTLP over HTTP and over gRPC, and of Jaeger's queries.
const otlpHTTP, otlpGRPC, query = 4318, 4317, 16686

func run(ctx context.Context) error {
	t := toolbox.Jaeger
	if err := t.Install(ctx, func(what string) { fmt.Fprintf(os.Stderr, "%s: %s\n", t.Name(), what) }); err != nil {
		return err
	}
	dir, _ := t.Installed()
	cmd := exec.CommandContext(ctx, toolbox.JaegerIn(dir), toolbox.JaegerFlags(otlpHTTP, otlpGRPC, query)...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	fmt.Fprintf(os.Stdout, `OTLP at http://127.0.0.1:%d (HTTP) and 127.0.0.1:%d (gRPC):
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:%d make run
Queries at http://127.0.0.1:%d: /api/services, /api/traces?service=editor
`, otlpHTTP, otlpGRPC, otlpHTTP, query)
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); ctx.Err() != nil && (err == nil || errors.As(err, &exit)) {
		return nil // it was interrupted, as it is meant to end
	}
	return fmt.Errorf("it ended, perhaps because one of these ports is in use: %w", err)
}
