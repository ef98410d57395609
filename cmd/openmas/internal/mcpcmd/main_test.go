package mcpcmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/mcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type greeter struct{}

type who struct {
	Name string `json:"name"`
}

func (greeter) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("greet", "Greet somebody.",
		func(_ context.Context, in who) (string, error) { return "Hello, " + in.Name + "!", nil })}}
}

// result is how a command ended and what it wrote.
type result struct {
	code     int
	out, err string
}

// run runs a command in memory.
func run(t *testing.T, in string, args ...string) result {
	t.Helper()
	return runWith(t.Context(), in, []string{}, args...)
}

func runWith(ctx context.Context, in string, environ []string, args ...string) result {
	var out, errOut bytes.Buffer
	code := cli.Run(ctx, program(environ), args, cli.Streams{In: strings.NewReader(in), Out: &out, Err: &errOut})
	return result{code, out.String(), errOut.String()}
}

func program(environ []string) cli.Program {
	return cli.Program{Types: agent.Types{"greeter": func() agent.Agent { return greeter{} }}, Environ: environ,
		Commands: []func(*cli.App) *cobra.Command{Command}}
}

// projectFile writes a project file to a folder of its own.
func projectFile(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve runs a project with its gateway on a free port until the end of the test, and returns the
// gateway's URL.
func serve(t *testing.T, path string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := &urlWriter{url: make(chan string, 1)}
	code := make(chan int, 1)
	go func() {
		code <- cli.Run(ctx, program([]string{}), []string{"run", path, "--listen", "127.0.0.1:0"},
			cli.Streams{In: strings.NewReader(""), Out: log, Err: log})
	}()
	t.Cleanup(func() {
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("run ended with %d", c)
		}
	})
	select {
	case url := <-log.url:
		return url
	case <-time.After(30 * time.Second):
		t.Fatal("the project is not ready")
		return ""
	}
}

// urlWriter finds the URL in what a run writes.
type urlWriter struct {
	mu   sync.Mutex
	text bytes.Buffer
	once sync.Once
	url  chan string
}

func (w *urlWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if _, rest, ok := strings.Cut(w.text.String(), mcp.SSEURL); ok && strings.Contains(rest, "\n") {
		url, _, _ := strings.Cut(rest, "\n")
		w.once.Do(func() { w.url <- url })
	}
	return len(p), nil
}
