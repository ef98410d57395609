package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
)

// hang is a generous bound on what must not take for ever.
const hang = 30 * time.Second

// mainVar in the environment makes the test binary the openmas program with the types of these
// tests: so tests start real processes of it, and those start theirs.
const mainVar = "OPENMAS_TEST_MAIN"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == foreignProgram {
		os.Exit(serveForeign(os.Args[1]))
	}
	if os.Getenv(mainVar) != "" || os.Getenv(runtime.ChildVar) != "" {
		os.Exit(Main(Program{Types: types(), Version: testVersion}))
	}
	dir, err := os.MkdirTemp("", "openmas-cli-")
	if err != nil {
		panic(err)
	}
	if err := os.Setenv("XDG_RUNTIME_DIR", dir); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir) // sockets of processes that were killed
		os.Exit(code)
	}))
}

const testVersion = "v1.2.3-test"

// result is how a command ended and what it wrote.
type result struct {
	code     int
	out, err string
}

// run runs a command in memory.
func run(t *testing.T, in string, args ...string) result {
	t.Helper()
	return runWith(t.Context(), in, nil, args...)
}

func runWith(ctx context.Context, in string, environ []string, args ...string) result {
	var out, errOut testkit.Buffer
	if environ == nil {
		environ = []string{}
	}
	code := Run(ctx, Program{Types: types(), Version: testVersion, Environ: environ}, args,
		Streams{In: strings.NewReader(in), Out: &out, Err: &errOut})
	return result{code, out.String(), errOut.String()}
}

// project writes a project file to a folder of its own.
func projectFile(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// nothingStarted fails the test if an agent of the project was given its folder, which comes before
// its Start.
func nothingStarted(t *testing.T, project string) {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(filepath.Dir(project), ".openmas", "*", "*"))
	for _, f := range kept {
		if n := filepath.Base(f); n != ".gitignore" && n != "logs" { // a start that fails is in the log
			t.Errorf("something was started: %s exists (%v)", f, err)
		}
	}
}

// served is a project that runs in this process until stop.
type served struct {
	url  string
	log  *testkit.Buffer
	stop func() int
}

// serve runs a project with its gateway on a free port, and waits for its readiness line.
func serve(t *testing.T, path string, args ...string) *served {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{log: &testkit.Buffer{}}
	code := make(chan int, 1)
	go func() {
		p := Program{Types: types(), Version: testVersion, Environ: []string{}}
		code <- Run(ctx, p, append([]string{"run", path, "--listen", "127.0.0.1:0"}, args...),
			Streams{In: strings.NewReader(""), Out: s.log, Err: s.log})
	}()
	s.stop = sync.OnceValue(func() int {
		cancel()
		select {
		case c := <-code:
			return c
		case <-time.After(hang):
			t.Errorf("run does not end\n%s", s.log)
			return -1
		}
	})
	t.Cleanup(func() {
		if c := s.stop(); c != 0 {
			t.Errorf("run ended with %d\n%s", c, s.log)
		}
	})
	testkit.Eventually(t, "run is up", func() bool {
		select {
		case c := <-code:
			t.Fatalf("run ended with %d\n%s", c, s.log)
		default:
		}
		return strings.Contains(s.log.String(), "SSE_SERVER_URL")
	}, s.log)
	if slices.Contains(args, "json") { // the readiness line is a member of a JSON object
		s.url, _, _ = strings.Cut(s.log.Await(t, `"SSE_SERVER_URL":"`), `"`)
	} else {
		s.url = s.log.Await(t, "SSE_SERVER_URL=")
	}
	return s
}
