package runtime_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/runtime"
)

// TestMain makes the test binary the child processes' program as well: a system under test starts
// it for its agents on mcp-stdio.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(runtime.ChildVar) != "":
		out := os.Stdout
		os.Stdout = os.Stderr
		if err := runtime.ServeChild(context.Background(), types(nil), os.Stdin, out, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case os.Getenv(foreignVar) != "":
		os.Exit(foreignServer(os.Getenv(foreignVar)))
	default:
		goleak.VerifyTestMain(m)
	}
}
