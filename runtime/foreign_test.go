package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// foreignVar makes the test binary an MCP server that knows nothing of openmas: "stdio", "form", or
// "sse" on a port of its own. One that "exits" or is "silent" never gets that far. With lateVar it
// waits for that file first.
const (
	foreignVar = "RUNTIME_TEST_FOREIGN"
	lateVar    = "RUNTIME_TEST_LATE"
)

func foreign() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "foreign", Version: "1"}, nil)
	sdk.AddTool(s, &sdk.Tool{Name: "docs.search"},
		func(_ context.Context, _ *sdk.CallToolRequest, in note) (*sdk.CallToolResult, any, error) {
			if in.Text == "" {
				return nil, nil, errors.New("search for what?")
			}
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "found " + in.Text}}}, nil, nil
		})
	sdk.AddTool(s, &sdk.Tool{Name: "env"}, func(context.Context, *sdk.CallToolRequest, note) (*sdk.CallToolResult, any,
		error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: os.Getenv("OPENMAS_URL")}}}, nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "die"}, func(_ context.Context, _ *sdk.CallToolRequest,
		in note) (*sdk.CallToolResult, any, error) {
		if _, err := os.Stat(in.Text); in.Text != "" && err == nil {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "alive"}}}, nil, nil
		}
		if in.Text != "" {
			if err := os.WriteFile(in.Text, nil, 0o600); err != nil {
				return nil, nil, err
			}
		}
		fmt.Fprintln(os.Stderr, "database is locked")
		os.Exit(7)
		return nil, nil, nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "book"}, func(_ context.Context, _ *sdk.CallToolRequest, in note) (
		*sdk.CallToolResult, any, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "booked"}}}, nil, enter(in)
	})
	sdk.AddTool(s, &sdk.Tool{Name: "otel"}, func(context.Context, *sdk.CallToolRequest, note) (*sdk.CallToolResult, any,
		error) {
		return nil, otelVars(), nil
	})
	sdk.AddTool(s, &sdk.Tool{Name: "back"}, callBack)
	sdk.AddTool(s, &sdk.Tool{Name: "circle"}, circleBack)
	return s
}

// back is a call of a tool of the system by a foreign child, with whatever it writes about
// itself.
type back struct {
	Agent string         `json:"agent"`
	Name  string         `json:"name"`
	Args  any            `json:"args,omitempty"`
	Meta  map[string]any `json:"meta,omitempty"`
}

func callBack(ctx context.Context, _ *sdk.CallToolRequest, in back) (*sdk.CallToolResult, any, error) {
	c := sdk.NewClient(&sdk.Implementation{Name: "foreign", Version: "1"}, &sdk.ClientOptions{
		ElicitationHandler: func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"color": "green"}}, nil
		}})
	session, err := c.Connect(ctx,
		&sdk.StreamableClientTransport{Endpoint: os.Getenv("OPENMAS_URL") + "/agents/" + in.Agent + "/mcp",
			HTTPClient: &http.Client{Transport: bearer(os.Getenv("OPENMAS_TOKEN"))}}, nil)
	if err != nil {
		return nil, nil, err
	}
	defer session.Close()
	res, err := session.CallTool(ctx, &sdk.CallToolParams{Meta: in.Meta, Name: in.Name, Arguments: in.Args})
	return res, nil, err
}

// circleBack calls far.circle, which is to call it, once and so many times more, whatever comes of
// it. It says of the call nothing, as old clients do not, or what OpenTelemetry would.
func circleBack(ctx context.Context, r *sdk.CallToolRequest, in note) (*sdk.CallToolResult, any, error) {
	var meta map[string]any
	if in.Text == "traced" {
		meta = map[string]any{"traceparent": r.Params.Meta["traceparent"]}
	}
	var err error
	var res *sdk.CallToolResult
	for range in.N + 1 {
		res, _, err = callBack(ctx, r, back{Agent: "far", Name: "circle", Args: in, Meta: meta})
	}
	return res, nil, err
}

// slowBegin is longer than the waits before three attempts at a call.
const slowBegin = 700 * time.Millisecond

func foreignServer(kind string) int {
	if file := os.Getenv(lateVar); file != "" && appears(context.Background(), file) != nil {
		return 1
	}
	if name, ok := strings.CutPrefix(kind, "recorded "); ok {
		return serveRecorded(name)
	}
	switch kind {
	case "slow":
		<-time.After(slowBegin)
		fallthrough
	case "stdio":
		if err := foreign().Run(context.Background(), &sdk.StdioTransport{}); err != nil {
			return 1
		}
	case "form":
		if err := oldForm(os.Stdin, os.Stdout); err != nil {
			return 1
		}
	case "exits":
		fmt.Fprintln(os.Stderr, "no such database")
		return 3
	case "silent":
		fmt.Fprintln(os.Stderr, "thinking")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "sse":
		srv := httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return foreign() }, nil))
		fmt.Fprintf(os.Stderr, "SSE_SERVER_URL=%s\\n", srv.URL) // the guide's way: a literal backslash and n
		select {}
	}
	return 0
}

func TestForeignServers(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sse := httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return foreign() }, nil))
	t.Cleanup(sse.Close)
	streamable := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
		return foreign()
	}, nil))
	t.Cleanup(streamable.Close)
	for name, ac := range map[string]project.Agent{
		"command": {Command: []string{exe}, Env: map[string]string{foreignVar: "stdio"}},
		"launched SSE": {Command: []string{exe}, Communicator: project.OverSSE,
			Env: map[string]string{foreignVar: "sse"}},
		"SSE by URL":        {URL: sse.URL + "/sse"},
		"streamable by URL": {URL: streamable.URL + "/mcp"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": ac}}, nil)
			got, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"})
			if err != nil || got != "found x" {
				t.Fatal(got, err)
			}
			if _, err := agent.Ask[string](s.ctx, "docs.docs.search",
				note{}); agent.CodeOf(err) != agent.CodeToolFailed {
				t.Fatal(err)
			}
			if ac.Command != nil {
				if u, err := agent.Ask[string](s.ctx, "docs.env", note{}); err != nil || u == "" {
					t.Fatalf("the child has no address to call back: %q, %v", u, err)
				}
			}
		})
	}
}

func TestServerElsewhereMayComeLater(t *testing.T) {
	var up = make(chan struct{})
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return foreign() }, nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-up:
			h.ServeHTTP(w, r)
		default:
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(srv.Close)
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: srv.URL}},
		Reconnect: project.Reconnect{Initial: 10e6, Max: 50e6}}, nil)
	if _, err := agent.Ask[string](s.ctx, "docs.docs.search",
		note{Text: "x"}); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Fatal(err)
	}
	close(up)
	testkit.Eventually(t, "the server is found", func() bool {
		_, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"})
		return err == nil
	})
}

// One who requires a tool of a server that is down starts all the same: the server may come later.
func TestRequiredToolOfAServerThatIsDown(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	cfg := &project.Config{Agents: map[string]project.Agent{"docs": {URL: srv.URL}, "reader": {Type: "reader"}}}
	s := start(t, cfg, agent.Types{"reader": func() agent.Agent {
		return &writer{d: &diary{}, requires: []string{"docs.docs.search"}}
	}})
	if got := s.agentStatus("reader").State; got != runtime.StateReady {
		t.Errorf("reader is %s", got)
	}
	if !strings.Contains(s.log.String(), "an agent waits for what it requires\" agent=reader requires=docs.docs.search") {
		t.Errorf("the log does not say so:\n%s", s.log)
	}
	if got := s.agentStatus("reader").WaitsFor; len(got) != 1 || got[0] != "docs.docs.search" {
		t.Errorf("reader waits for %q", got)
	}
}

// A program that is not ours has a token to call the others with. What it writes in our own
// metadata about its calls counts for nothing, and it gets what any client gets.
func TestAForeignChildIsNotTrusted(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &project.Config{Agents: map[string]project.Agent{
		"docs": {Command: []string{exe}, Env: map[string]string{foreignVar: "stdio"}},
		"far":  {Type: "probe"},
		"work": {Type: "worker", Communicator: project.OverStdio, Config: map[string]any{"stay": true}},
	}}, nil)
	testkit.Eventually(t, "the worker runs", func() bool {
		return s.agentStatus("work").Runner == runtime.StateRunning
	})
	forged := map[string]any{"openmas/caller": "boss", "openmas/depth": 9, "openmas/key": "k", "openmas/attempt": 3}
	got, err := agent.Ask[string](s.ctx, "docs.back", back{Agent: "far", Name: "who", Args: note{}, Meta: forged})
	if err != nil || got != "docs at depth 1" {
		t.Errorf("a forged call: %q, %v", got, err)
	}
	got, err = agent.Ask[string](s.ctx, "docs.back", back{Agent: "far", Name: "choose", Args: note{}})
	if err != nil || got != "green" {
		t.Errorf("a tool that asks: %q, %v", got, err)
	}
	for name, args := range map[string]map[string]any{
		"far": {"topic": "probe.said", "id": "1", "source": "boss", "attempt": 1, "payload": note{Text: "psst"}},
		"openmas": {"topic": "openmas.runner", "id": "2", "source": "work", "attempt": 1,
			"payload": map[string]any{"instance": "work/0", "state": "done"}},
	} {
		if got, err := agent.Ask[string](s.ctx, "docs.back",
			back{Agent: name, Name: "openmas.event", Args: args}); err == nil {
			t.Errorf("an event for %s: %q", name, got)
		}
	}
	if heard, err := agent.Ask[[]string](s.ctx, "far.heard", nil); err != nil || len(heard) > 0 {
		t.Errorf("far heard %q, %v", heard, err)
	}
	if got := s.agentStatus("work").Runner; got != runtime.StateRunning {
		t.Errorf("the worker's Runner is %s, says a foreign program", got)
	}
}

// A program that calls an agent which is not up yet, or not at all, hears that, and not that it
// wants a tool that does not exist.
func TestAForeignChildCallsWhatIsNotUp(t *testing.T) {
	s := start(t, &project.Config{
		Agents: map[string]project.Agent{"docs": stranger(t, "stdio", nil),
			"late": stranger(t, "stdio", map[string]string{lateVar: filepath.Join(t.TempDir(), "never")})},
		Start: project.Start{Wait: 100 * time.Millisecond}, Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
	}, nil)
	if err := s.Tried(t.Context(), "docs"); err != nil {
		t.Fatal(err)
	}
	_, err := agent.Ask[string](s.ctx, "docs.back", back{Agent: "late", Name: "docs.search", Args: note{Text: "x"}})
	if err == nil || !strings.Contains(err.Error(), "agent late is starting") {
		t.Error(err)
	}
}
