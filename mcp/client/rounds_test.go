package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// newestWays runs test over the transports that have protocol 2026-07-28.
func newestWays(t *testing.T, o Options, test func(t *testing.T, f *fixture.Foreign, s *Session)) {
	everyWay(t, Target{Name: "fix", Protocol: codec.Version20260728}, o,
		func(t *testing.T, f *fixture.Foreign, s *Session) {
			if s.target.Transport != mcp.SSE {
				test(t, f, s)
			}
		})
}

// TestInputThatAServerWants: a call that comes back with questions is answered by its caller, else
// by the session's owner, and made again.
func TestInputThatAServerWants(t *testing.T) {
	back := func(who string) agent.BackChannelFuncs {
		return agent.BackChannelFuncs{
			Elicit: func(_ context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
				return agent.ElicitResult{Action: agent.ElicitAccept,
					Content: fmt.Appendf(nil, `{"name":%q}`, who+" "+r.Message)}, nil
			},
			Sample: func(context.Context, agent.SampleRequest) (agent.SampleResult, error) {
				return agent.SampleResult{Role: "assistant", Model: who + "'s model",
					Content: agent.Blocks{agent.Text("m")}}, nil
			},
			Roots: func(context.Context) ([]agent.Root, error) { return []agent.Root{{URI: "file:///x"}}, nil },
		}
	}
	var owner atomic.Pointer[agent.BackChannelFuncs]
	owner.Store(&agent.BackChannelFuncs{})
	asks := Options{Back: ownerBack{&owner}}
	newestWays(t, asks, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		ada, olga := back("Ada"), back("Olga")
		if got := mustCall(t, s, "wants", nil, ada).Text(); got != "two Dr. Ada who?, Ada's model, 1, Ada again?" {
			t.Errorf("answered by its caller: %s", got)
		}
		owner.Store(&olga)
		if got := mustCall(t, s, "wants", nil,
			agent.BackChannelFuncs{Elicit: ada.Elicit}).Text(); got != "two Dr. Ada who?, "+
			"Olga's model, 1, Ada again?" {
			t.Errorf("answered by both: %s", got)
		}
		owner.Store(&agent.BackChannelFuncs{})
		_, err := call(t.Context(), s, "wants", nil, nil)
		if e := fixture.WantError(t, err, agent.CodeUnavailable, false); !strings.Contains(e.Message,
			"nobody answers") &&
			!strings.Contains(e.Message, "does not answer") {
			t.Errorf("answered by nobody: %v", e)
		}
	})
}

// Why a caller gives no input is told, and not that the session's owner gives none either.
func TestWhyInputIsMissing(t *testing.T) {
	newestWays(t, Options{Back: agent.BackChannelFuncs{}}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		_, err := call(t.Context(), s, "wants", nil, failing{})
		if e := fixture.WantError(t, err, agent.CodeUnavailable, false); !strings.Contains(e.Message,
			"the answer does not fit") {
			t.Errorf("%v", e)
		}
	})
}

// ownerBack is a session's owner whose mind changes.
type ownerBack struct {
	h *atomic.Pointer[agent.BackChannelFuncs]
}

func (o ownerBack) Notify(context.Context, agent.Notice) {}
func (o ownerBack) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	return o.h.Load().Request(ctx, r)
}

// TestNoticesInTheNewestVersion: progress, log lines and changed lists come without a session.
func TestNoticesInTheNewestVersion(t *testing.T) {
	newestWays(t, Options{}, func(t *testing.T, _ *fixture.Foreign, s *Session) {
		var progress, logs atomic.Int64
		back := agent.BackChannelFuncs{OnProgress: func(agent.ProgressNotice) {
			progress.Add(1)
		}, OnLog: func(agent.LogNotice) { logs.Add(1) }}
		mustCall(t, s, "tell", map[string]int{"progress": 3, "log": 2}, back)
		if progress.Load() != 3 || logs.Load() != 2 {
			t.Errorf("%d of 3 progress notices, %d of 2 log lines", progress.Load(), logs.Load())
		}
		before := len(s.Info().Tools)
		mustCall(t, s, "grow", nil, nil)
		testkit.Eventually(t, "the new tools", func() bool { return len(s.Info().Tools) == before+5 })
	})
}

// TestTheNewestVersionFallsBack: a server that does not know it is asked again in an earlier one.
func TestTheNewestVersionFallsBack(t *testing.T) {
	f := fixture.NewForeign()
	srv := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil))
	t.Cleanup(func() { f.HangUp(srv) })
	strict := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(codec.VersionHeader) > codec.Version20251125 {
			http.Error(w, "what is that?", http.StatusInternalServerError)
			return
		}
		r.URL.Path = "/"
		srv.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { strict.CloseClientConnections(); strict.Close() })
	old := role(t, "old", mcp.Stdio)
	for name, target := range map[string]Target{
		"a program that falls silent": old,
		"a server with sessions":      {Transport: mcp.Streamable, URL: srv.URL},
		"a server that fails":         {Transport: mcp.Streamable, URL: strict.URL},
	} {
		t.Run(name, func(t *testing.T) {
			target.Name, target.Protocol = "fix", codec.Version20260728
			s := mustConnect(t, target, Options{HandshakeTimeout: 8 * time.Second})
			if v := s.ProtocolVersion(); v != codec.Version20251125 {
				t.Errorf("protocol %s", v)
			}
			if got := mustCall(t, s, "echo", map[string]any{"n": 1}, nil); string(got.Structured) != `{"n":1}` {
				t.Errorf("echo gave %s", got.Structured)
			}
		})
	}
	if _, err := Connect(t.Context(), Target{Transport: mcp.Streamable, URL: srv.URL, Protocol: "tomorrow"},
		Options{}); err == nil || !strings.Contains(err.Error(), "tomorrow") {
		t.Errorf("an unknown protocol: %v", err)
	}
}

// TestRoundsOfOneCallSendTheSame: the first round takes the fast path and the others do not. A
// server that binds its state to the arguments, as ours does, must see the same.
func TestRoundsOfOneCallSendTheSame(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "quiz", fixture.Quizzer(new(atomic.Int64)))
	_, url := newSite(t, dir)
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: url + "/mcp", Protocol: codec.Version20260728},
		Options{})
	back := agent.BackChannelFuncs{Elicit: func(_ context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
		return agent.ElicitResult{Action: agent.ElicitAccept, Content: fmt.Appendf(nil, `{"word":%q}`, r.Message)}, nil
	}}
	for _, in := range []string{`{"word":"w"}`, `{"word": "w"}`, "{\n\"word\":\"w\"}", `{"word":"a<b>&c"}`,
		"{\"word\":\"\u2028\"}", `{"word":"\u003c\/"}`} {
		res, err := s.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "quiz_row", Input: json.RawMessage(in),
			Back: back})
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if got := res.Text(); got != "first, second, second, third" {
			t.Errorf("%q: %s", in, got)
		}
	}
	if s.FastCalls() == 0 && !fixture.NoFastPath {
		t.Error("nothing took the fast path")
	}
}
