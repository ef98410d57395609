package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// stranger is a foreign program of this test binary.
func stranger(t *testing.T, kind string, env map[string]string) project.Agent {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	env = maps.Clone(env)
	if env == nil {
		env = map[string]string{}
	}
	env[foreignVar] = kind
	return project.Agent{Command: []string{exe}, Env: env}
}

// touch makes a file.
func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A program that a shell does not find is not started again and again: it is failed, says what
// starts it, and comes when the file does, or when its operator asks.
func TestAProgramThatAShellDoesNotFind(t *testing.T) {
	for name, command := range map[string]func(file string) []string{
		"a path":             func(file string) []string { return []string{"sh", "-c", "exec " + file} },
		"relative to dir":    func(string) []string { return []string{"sh", "-c", "set -e; exec ./program --verbose"} },
		"an argument of env": func(file string) []string { return []string{"env", file} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "program")
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			docs := stranger(t, "stdio", nil)
			docs.Command, docs.Dir = command(file), dir
			s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": docs},
				Reconnect: project.Reconnect{Initial: 10 * time.Millisecond, Max: 50 * time.Millisecond}}, nil)
			failed := func(code string) func() bool {
				return func() bool {
					i := s.agentStatus("docs").Instances[0]
					return i.State == runtime.StateFailed && i.Next.IsZero() &&
						strings.Contains(i.Error, "exited with code "+code) && strings.HasSuffix(i.Error,
						"; it is tried again when that has changed, or by openmas start docs")
				}
			}
			testkit.Eventually(t, "it has failed", failed("127"))
			if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err == nil ||
				!strings.Contains(err.Error(), "or by openmas start docs") {
				t.Error(err)
			}
			if _, err := s.Operate(t.Context(), "start", "docs", -1); err == nil ||
				!strings.Contains(err.Error(), "exited with code 127") {
				t.Error(err)
			}
			touch(t, file) // it can not be executed yet
			testkit.Eventually(t, "it was tried again", failed("126"))
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(exe, file); err != nil {
				t.Skip(err)
			}
			testkit.Eventually(t, "it has come", func() bool {
				return s.agentStatus("docs").State == runtime.StateReady
			})
			if got := s.agentStatus("docs").Instances[0].Restarts; got != 0 {
				t.Errorf("%d restarts", got)
			}
			if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A program that is away when it is to be started again is started as soon as it is there, however
// long that takes.
func TestAProgramThatGoesAndComesBack(t *testing.T) {
	for says, command := range map[string]func(file string) []string{
		"there is no ":          func(file string) []string { return []string{file} },
		"exited with code 127 ": func(file string) []string { return []string{"sh", "-c", "exec " + file} },
	} {
		t.Run(says, func(t *testing.T) { goesAndComesBack(t, command, says) })
	}
}

func goesAndComesBack(t *testing.T, command func(file string) []string, says string) {
	file := filepath.Join(t.TempDir(), "program")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(exe, file); err != nil {
		t.Skip(err)
	}
	docs := stranger(t, "stdio", nil)
	docs.Command = command(file)
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": docs},
		Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		Restart: project.Restart{Limit: 1, Window: time.Minute, Backoff: time.Millisecond, GiveUpAfter: 1}}, nil)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Operate(t.Context(), "restart", "docs", -1); err == nil ||
		!strings.Contains(err.Error(), says) {
		t.Fatal(err)
	}
	if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err == nil ||
		!strings.Contains(err.Error(), "it is tried again when that has changed") {
		t.Error(err)
	}
	if resp, err := http.Get(s.Status().URL + "/readyz"); err != nil || resp.Body.Close() != nil ||
		resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %v, %v", resp, err)
	}
	if err := os.Symlink(exe, file); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it is back", func() bool { return s.agentStatus("docs").State == runtime.StateReady })
	if n := s.agentStatus("docs").Instances[0].Restarts; n != 0 {
		t.Errorf("%d restarts", n)
	}
}

// A program that cannot start costs itself only: the others work, the status and every call to it
// say why, and it is there once it can start.
func TestAForeignAgentThatCannotStartYet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	docs := stranger(t, "stdio", nil)
	docs.Command = []string{file}
	s := start(t, &project.Config{
		Agents: map[string]project.Agent{"docs": docs, "broken": stranger(t, "exits", nil), "far": {Type: "probe"},
			"reader": {Type: "reader"}},
		Gateway:   &project.Gateway{Listen: "127.0.0.1:0"},
		Reconnect: project.Reconnect{Initial: 10 * time.Millisecond, Max: 50 * time.Millisecond},
	}, agent.Types{"reader": func() agent.Agent { return &writer{d: &diary{}, requires: []string{"docs.docs.search"}} }})
	if _, err := agent.Ask[note](s.ctx, "far.say", note{}); err != nil {
		t.Errorf("the others: %v", err)
	}
	for name, want := range map[string]string{"docs": "there is no " + file, "broken": "exited with code 3"} {
		_, err := agent.Ask[string](s.ctx, name+".docs.search", note{Text: "x"})
		if agent.CodeOf(err) != agent.CodeUnavailable || !strings.Contains(err.Error(), want) ||
			!agent.AsError(err).NotExecuted {
			t.Errorf("%s: %v", name, err)
		}
		if st := s.agentStatus(name); st.State != runtime.StateFailed && st.State != runtime.StateStarting ||
			!strings.Contains(st.Instances[0].Error, want) {
			t.Errorf("%s: %+v", name, st)
		}
	}

	changed := make(chan struct{}, 10)
	client := sdk.NewClient(&sdk.Implementation{Name: "c", Version: "1"}, &sdk.ClientOptions{
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { changed <- struct{}{} }})
	session, err := client.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: s.Status().URL + "/mcp"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if resp, err := http.Get(s.Status().URL + "/readyz"); err != nil || resp.Body.Close() != nil ||
		resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %v, %v", resp, err)
	}

	for path, name := range map[string]string{"/mcp": "docs_docs_search", "/agents/docs/mcp": "docs.search"} {
		c, err := client.Connect(t.Context(), &sdk.StreamableClientTransport{Endpoint: s.Status().URL + path}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		res, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: name})
		if err != nil || !res.IsError ||
			!strings.Contains(res.Content[0].(*sdk.TextContent).Text, "there is no "+file) {
			t.Errorf("%s on %s: %+v, %v", name, path, res, err)
		}
	}

	if err := os.Symlink(exe, file); err != nil {
		t.Skip(err)
	}
	testkit.Receive(t, changed)
	res, err := session.CallTool(t.Context(), &sdk.CallToolParams{Name: "docs_docs_search",
		Arguments: note{Text: "x"}})
	if err != nil || res.IsError {
		t.Errorf("%+v, %v", res, err)
	}
	testkit.Eventually(t, "the log says so", func() bool {
		return strings.Contains(s.log.String(), `"what an agent requires is there" agent=reader`)
	})
	if got := s.agentStatus("reader").WaitsFor; got != nil {
		t.Errorf("reader waits for %q", got)
	}
}

// What a program wrote to standard error is for those who run it, and not for clients. The status
// tells clients no reason at all; a call that fails has one.
func TestLastLinesAreForOperators(t *testing.T) {
	s := start(t, &project.Config{Agents: map[string]project.Agent{"broken": stranger(t, "exits", nil)}}, nil)
	const said = "no such database"
	if got := s.agentStatus("broken").Instances[0].LastLines; len(got) != 1 || got[0] != said {
		t.Errorf("the status has %q", got)
	}
	st, err := agent.Ask[runtime.Status](s.Context(t.Context()), "openmas.status", nil)
	if err != nil || len(st.Agents[0].Instances[0].LastLines) != 1 {
		t.Errorf("the program's view: %+v, %v", st, err)
	}
	for name, call := range map[string]func() (any, error){
		"status": func() (any, error) { return agent.Ask[any](s.ctx, "openmas.status", nil) },
		"list":   func() (any, error) { return agent.Ask[any](s.ctx, "openmas.list", nil) },
		"call": func() (any, error) {
			_, err := agent.Ask[string](s.ctx, "broken.x", nil)
			return err.Error(), nil
		},
	} {
		got, err := call()
		if text := fmt.Sprint(got); err != nil || strings.Contains(text, said) ||
			strings.Contains(text, "exited with code 3") != (name == "call") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	testkit.Eventually(t, "the log has each failure in full once", func() bool {
		return strings.Contains(s.log.String(), `error="as before" attempt=2`)
	})
	log := s.log.String()
	if n := strings.Count(log, `tried again" error="unavailable: `); n != 1 ||
		!strings.Contains(log, `msg="no such database"`) || strings.Contains(log, "stderr=") {
		t.Errorf("%d times in the log:\n%s", n, log)
	}
}

func TestCriticalAndStrict(t *testing.T) {
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	critical := func(a project.Agent) project.Agent { a.Critical = true; return a }
	for name, c := range map[string]struct {
		agent  project.Agent
		strict bool
		says   string
	}{
		"critical program": {critical(stranger(t, "exits", nil)), false, "exited with code 3"},
		"critical url":     {critical(project.Agent{URL: down.URL}), false, "nothing listens there"},
		"strict":           {stranger(t, "exits", nil), true, "exited with code 3"},
		"strict silence":   {stranger(t, "silent", nil), true, "within 300ms"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &project.Config{Agents: map[string]project.Agent{"bad": c.agent, "far": {Type: "probe"}}}
			if strings.Contains(c.says, "300ms") {
				cfg.Start.Timeout = 300 * time.Millisecond
			}
			s := prepare(t, cfg, nil, func(o *runtime.Options) { o.Strict = c.strict })
			err := s.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), "agent bad") || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}

// The start waits for slow programs as long as the project says; what is called then says that it
// is starting.
func TestTheStartDoesNotWaitForEver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go")
	s := start(t, &project.Config{
		Agents: map[string]project.Agent{"docs": stranger(t, "stdio", map[string]string{lateVar: file}),
			"far": {Type: "probe"}},
		Start: project.Start{Wait: 100 * time.Millisecond},
	}, nil)
	ctx, cancel := context.WithTimeout(s.ctx, moment)
	defer cancel()
	_, err := agent.Ask[string](ctx, "docs.docs.search", note{Text: "x"})
	if agent.CodeOf(err) != agent.CodeDeadlineExceeded || !strings.Contains(err.Error(), "agent docs is starting") {
		t.Error(err)
	}
	touch(t, file)
	if err := s.Tried(t.Context(), "docs"); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil {
		t.Error(err)
	}
}

// stuck is an agent whose Start returns when its context has ended, or never.
type stuck struct {
	d    *diary
	deaf chan struct{}
}

func (*stuck) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func (s *stuck) Start(ctx context.Context, _ agent.Env) error {
	s.d.write("stuck")
	if s.deaf != nil {
		<-s.deaf
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// A Start that does not return costs its time, and no signal waits for it.
func TestAStartThatBlocks(t *testing.T) {
	for name, deaf := range map[string]chan struct{}{"heeds its context": nil, "does not": make(chan struct{})} {
		cfg := func(limit time.Duration) *project.Config {
			return &project.Config{Start: project.Start{Timeout: limit}, Drain: project.Drain{Timeout: 2 * time.Second},
				Agents: map[string]project.Agent{"a": {Type: "plain"}, "bad": {Type: "stuck"}}}
		}
		d := &diary{}
		types := agent.Types{"stuck": func() agent.Agent { return &stuck{d, deaf} },
			"plain": func() agent.Agent { return &writer{d: d} }}
		t.Run("time is up: "+name, func(t *testing.T) {
			testkit.Longer(t, "the other one starts in time", 50*time.Millisecond, func(d time.Duration) bool {
				err := prepare(t, cfg(d), types).Run(t.Context())
				want := "did not return within " + d.String() + " (start.timeout)"
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatal(err)
				}
				return strings.Contains(err.Error(), "bad/0")
			})
		})
		t.Run("signal: "+name, func(t *testing.T) {
			s := prepare(t, cfg(time.Hour), types)
			ctx, stop := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			d.lines = nil
			go func() { done <- s.Run(ctx) }()
			testkit.Eventually(t, "it is stuck", func() bool { return strings.HasSuffix(d.read(), "stuck") })
			stop(errors.New("SIGTERM"))
			if err := testkit.Receive(t, done); err == nil || !strings.Contains(err.Error(), "SIGTERM") {
				t.Error(err)
			}
		})
		if !strings.HasSuffix(d.read(), "close a") {
			t.Errorf("what had started is not closed: %s", d.read())
		}
		if deaf != nil {
			close(deaf)
		}
	}
}

// A program that ends during a call costs that call, whose error says how it ended. Calls that were
// not sent, or may be repeated, wait for it to be there again.
func TestCallsWhileAProgramIsStartedAgain(t *testing.T) {
	docs := stranger(t, "slow", nil)
	yes := true
	docs.Tools = map[string]project.Policy{"env": {Idempotent: &yes}}
	again := stranger(t, "slow", nil)
	again.Tools = map[string]project.Policy{"die": {Idempotent: &yes}}
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": docs, "again": again}}, nil)
	_, err := agent.Ask[string](s.ctx, "docs.die", note{})
	if agent.CodeOf(err) != agent.CodeOutcomeUnknown || !strings.Contains(err.Error(), "exited with code 7") ||
		strings.Contains(err.Error(), "database is locked") {
		t.Errorf("the call that ended it: %v", err)
	}
	if lines := client.LastLines(err); len(lines) != 1 || lines[0] != "database is locked" {
		t.Errorf("its last lines: %q", lines)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil {
				t.Errorf("a call that was not sent: %v", err)
			}
		})
	}
	all.Wait()
	if got, err := agent.Ask[string](s.ctx, "again.die", note{Text: filepath.Join(t.TempDir(), "died")}); err != nil ||
		got != "alive" {
		t.Errorf("a call that may be repeated: %q, %v", got, err)
	}
}
