package runtime_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

// board is an agent with a resource that changes: by a tool, and by its Runner.
type board struct{}

func (*board) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Tools: []agent.Tool{
			agent.NewTool("touch", "", func(ctx context.Context, in note) (string, error) {
				return "touched", agent.ResourceUpdated(ctx, in.Text)
			}),
			agent.NewTool("log", "", func(ctx context.Context, _ note) (string, error) {
				agent.Log(ctx, -4, "a detail")
				agent.Log(ctx, 8, "a mishap")
				return "logged", nil
			}),
		},
		Resources: []agent.Resource{
			agent.NewResource("board://main", "main", "", "text/plain", func(context.Context) (string, error) {
				return "x", nil
			}),
			agent.NewResourceFunc("board://notes/{id}", "note", "", "text/plain",
				func(_ context.Context, uri string, _ map[string]string) ([]agent.ResourceContents, error) {
					return []agent.ResourceContents{{URI: uri, Text: "x"}}, nil
				}),
		},
	}
}

// Run implements agent.Runner: it touches the board for ever.
func (*board) Run(ctx context.Context) error {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-tick.C:
			if err := agent.ResourceUpdated(ctx, "board://notes/run"); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			tick.Stop()
			return nil
		}
	}
}

// subscriber is a client of the gateway that receives updates of resources and log lines.
func subscriber(t *testing.T, url string, updates chan string, logs chan string) *sdk.ClientSession {
	t.Helper()
	c := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, &sdk.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *sdk.ResourceUpdatedNotificationRequest) {
			select {
			case updates <- r.Params.URI:
			default:
			}
		},
		LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) {
			logs <- fmt.Sprint(r.Params.Data)
		},
	})
	var tr sdk.Transport = &sdk.StreamableClientTransport{Endpoint: url, HTTPClient: httpClient(t)}
	if url[len(url)-4:] == "/sse" {
		tr = &sdk.SSEClientTransport{Endpoint: url, HTTPClient: httpClient(t)}
	}
	cs, err := c.Connect(t.Context(), tr, &sdk.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cs.Close() })
	return cs
}

// receives waits for a URI, and fails when one comes that is not expected.
func receives(t *testing.T, updates chan string, want string) {
	t.Helper()
	select {
	case got := <-updates:
		if got != want {
			t.Errorf("received %s, want %s", got, want)
		}
	case <-time.After(hang):
		t.Errorf("did not receive %s", want)
	}
}

func TestSubscriptions(t *testing.T) {
	for _, over := range []string{project.OverLocal, project.OverStdio} {
		s := start(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
			Agents: map[string]project.Agent{"board": {Type: "board", Communicator: over},
				"other": {Type: "probe"}}}, nil)
		for _, path := range []string{"/sse", "/mcp", "/agents/board/sse", "/agents/board/mcp"} {
			t.Run(over+path, func(t *testing.T) {
				updates := make(chan string, 100)
				cs := subscriber(t, s.Status().URL+path, updates, nil)
				if caps := cs.InitializeResult().Capabilities.Resources; caps == nil || !caps.Subscribe {
					t.Error("the capability is missing")
				}
				subscribe := func(uri string) error { return cs.Subscribe(t.Context(), &sdk.SubscribeParams{URI: uri}) }
				if err := subscribe("board://absent"); err == nil {
					t.Error("a resource that does not exist was subscribed to")
				}
				if err := subscribe("board://main"); err != nil {
					t.Fatal(err)
				}
				// the first two concern nobody
				for _, uri := range []string{"board://notes/nobody", "probe://state", "board://main"} {
					if _, err := agent.Ask[string](s.ctx, "board.touch", note{Text: uri}); err != nil {
						t.Fatal(err)
					}
				}
				receives(t, updates, "board://main")
				if err := cs.Unsubscribe(t.Context(), &sdk.UnsubscribeParams{URI: "board://main"}); err != nil {
					t.Fatal(err)
				}
				if err := subscribe("board://notes/run"); err != nil {
					t.Fatal(err)
				}
				receives(t, updates, "board://notes/run") // from the Runner
			})
		}
		s.stop()
		_ = s.wait()
	}
}

// TestSubscriptionsToForeignResources: they pass through, and outlive the session to the server.
func TestSubscriptionsToForeignResources(t *testing.T) {
	t.Parallel()
	far := newElsewhere(t, httptest.NewServer)
	var subscribed atomic.Int64
	far.mcp = sdk.NewServer(&sdk.Implementation{Name: "far", Version: "1"}, &sdk.ServerOptions{
		SubscribeHandler:   func(context.Context, *sdk.SubscribeRequest) error { subscribed.Add(1); return nil },
		UnsubscribeHandler: func(context.Context, *sdk.UnsubscribeRequest) error { return nil },
	})
	far.mcp.AddResource(&sdk.Resource{URI: "far://x", Name: "x"},
		func(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
			return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: r.Params.URI, Text: "x"}}}, nil
		})
	plain := newElsewhere(t, httptest.NewServer)
	plain.mcp.AddResource(&sdk.Resource{URI: "plain://x", Name: "x"}, nil)
	s := start(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		Reconnect: project.Reconnect{Initial: 10e6, Max: 50e6},
		Agents: map[string]project.Agent{"docs": {URL: far.URL, AllowTools: []string{}},
			"plain": {URL: plain.URL}}}, nil)
	updates := make(chan string, 100)
	cs := subscriber(t, s.Status().URL+"/mcp", updates, nil)
	if err := cs.Subscribe(t.Context(), &sdk.SubscribeParams{URI: "plain://x"}); err == nil {
		t.Error("a server that tells nobody was subscribed to")
	}
	for range 2 { // the second is known
		if err := cs.Subscribe(t.Context(), &sdk.SubscribeParams{URI: "far://x"}); err != nil {
			t.Fatal(err)
		}
	}
	update := func() {
		if err := far.mcp.ResourceUpdated(context.Background(),
			&sdk.ResourceUpdatedNotificationParams{URI: "far://x"}); err != nil {
			t.Error(err)
		}
	}
	update()
	receives(t, updates, "far://x")
	for session := range far.mcp.Sessions() {
		go func() { _ = session.Close() }()
	}
	testkit.Eventually(t, "the new session subscribes too", func() bool { return subscribed.Load() >= 2 })
	update()
	receives(t, updates, "far://x")
}

func TestTheClientSetsTheLogLevel(t *testing.T) {
	s := start(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		Agents: map[string]project.Agent{"board": {Type: "board"}}}, nil)
	for _, path := range []string{"/sse", "/mcp"} {
		for level, want := range map[sdk.LoggingLevel]int{"debug": 2, "info": 1, "error": 1, "critical": 0} {
			logs := make(chan string, 10)
			cs := subscriber(t, s.Status().URL+path, make(chan string, 100), logs)
			if err := cs.SetLoggingLevel(t.Context(), &sdk.SetLoggingLevelParams{Level: level}); err != nil {
				t.Fatal(err)
			}
			if _, err := cs.CallTool(t.Context(),
				&sdk.CallToolParams{Name: "board_log", Arguments: map[string]any{}}); err != nil {
				t.Fatal(err)
			}
			if got := len(logs); got != want {
				testkit.Eventually(t, fmt.Sprintf("%s at %s: %d log messages, want %d", path, level, got, want),
					func() bool {
						return len(logs) == want
					})
			}
		}
	}
}

// crowd is an agent with very many tools.
type crowd struct{}

func (*crowd) Capabilities() agent.Capabilities {
	var c agent.Capabilities
	for n := range 3000 {
		c.Tools = append(c.Tools, agent.NewTool(fmt.Sprintf("tool-%d", n), "One of very many.",
			func(context.Context, note) (int, error) {
				return n, nil
			}))
	}
	return c
}

// TestVeryManyTools: lists go over in pages, both ways.
func TestVeryManyTools(t *testing.T) {
	s := start(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		Agents: map[string]project.Agent{"crowd": {Type: "crowd", Communicator: project.OverHTTP}}},
		agent.Types{"crowd": func() agent.Agent { return &crowd{} }})
	// Pages that take longer than a second follow when a session is there already.
	testkit.Eventually(t, "the runtime has all pages", func() bool { return len(s.agentStatus("crowd").Tools) == 3000 })
	for _, path := range []string{"/sse", "/mcp"} {
		cs := connect(t, s.Status().URL+path)
		pages, seen := 0, map[string]bool{}
		for cursor := ""; ; pages++ {
			res, err := cs.ListTools(t.Context(), &sdk.ListToolsParams{Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			for _, tool := range res.Tools {
				seen[tool.Name] = true
			}
			if cursor = res.NextCursor; cursor == "" {
				break
			}
		}
		if !seen["crowd_tool-0"] || !seen["crowd_tool-2999"] || len(seen) != 3002 || pages != 3 {
			t.Errorf("%s: %d tools after %d full pages", path, len(seen), pages)
		}
		ours := s.session(t, path)
		ours.Listed(t.Context())
		if n := len(ours.Info().Tools); n != 3002 {
			t.Errorf("%s: a session of ours sees %d tools", path, n)
		}
	}
	if got, err := agent.Ask[int](s.ctx, "crowd.tool-2999", note{}); err != nil || got != 2999 {
		t.Error(got, err)
	}
}
