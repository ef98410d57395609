package runtime_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// Programs and servers that are not ours are operated in the same way.
func TestOperateForeignServers(t *testing.T) {
	web := http.NewServeMux()
	web.Handle("/sse", sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return foreign() }, nil))
	web.Handle("/mcp", sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return foreign() }, nil))
	srv := httptest.NewServer(web)
	t.Cleanup(srv.Close)
	launched := stranger(t, "sse", nil)
	launched.Communicator = project.OverSSE
	for name, ac := range map[string]project.Agent{"command": stranger(t, "stdio", nil), "launched SSE": launched,
		"SSE by URL": {URL: srv.URL + "/sse"}, "streamable by URL": {URL: srv.URL + "/mcp"}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": ac}}, nil)
			ctx, end := context.WithCancel(s.ctx)
			var callers sync.WaitGroup
			defer callers.Wait()
			defer end()
			var calls atomic.Int64
			for range 4 {
				callers.Go(func() {
					for ctx.Err() == nil {
						_, err := agent.Ask[string](context.WithoutCancel(ctx), "docs.docs.search", note{Text: "x"})
						if calls.Add(1); err != nil {
							t.Error(err)
						}
					}
				})
			}
			for range 3 {
				before := calls.Load()
				done, err := s.Operate(t.Context(), "restart", "docs", -1)
				if err != nil || done.Instances[0].Cut != "" {
					t.Errorf("%+v, %v", done, err)
				}
				testkit.Eventually(t, "calls go on", func() bool { return calls.Load() > before+4 })
			}
			end()
			callers.Wait()
			if _, err := s.Operate(t.Context(), "stop", "docs", -1); err != nil {
				t.Error(err)
			}
			if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err == nil ||
				!strings.Contains(err.Error(), "openmas start docs starts it") {
				t.Error(err)
			}
			if _, err := s.Operate(t.Context(), "start", "docs", -1); err != nil {
				t.Error(err)
			}
			if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
}

// What waits for its next attempt is tried at once, and one that fails again says why.
func TestStartTriesAgainAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program")
	docs := stranger(t, "stdio", nil)
	exe := docs.Command[0]
	docs.Command = []string{file}
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": docs},
		Reconnect: project.Reconnect{Initial: time.Hour, Max: time.Hour}}, nil)
	failed := func() bool { return s.agentStatus("docs").State == runtime.StateFailed }
	testkit.Eventually(t, "it has failed", failed)
	done, err := s.Operate(t.Context(), "start", "docs", -1)
	if err == nil || !strings.Contains(err.Error(), "there is no "+file) {
		t.Errorf("%+v, %v", done, err)
	}
	if err := os.Symlink(exe, file); err != nil {
		t.Skip(err)
	}
	if done, err := s.Operate(t.Context(), "start", "docs", -1); err != nil ||
		done.Instances[0].State != runtime.StateReady {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil {
		t.Error(err)
	}
}
