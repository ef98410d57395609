package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
)

// moody is a server over HTTP that can be made to answer POSTs otherwise.
type moody struct {
	*fixture.Foreign
	*httptest.Server
	mood atomic.Pointer[http.HandlerFunc]
}

func newMoody(t *testing.T, transport mcp.Transport) (*moody, *Session) {
	m := &moody{Foreign: fixture.NewForeign()}
	get := func(*http.Request) *sdk.Server { return m.Foreign.Server }
	var h http.Handler = sdk.NewStreamableHTTPHandler(get, nil)
	if transport == mcp.SSE {
		h = sdk.NewSSEHandler(get, nil)
	}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mood := m.mood.Load(); mood != nil && r.Method == http.MethodPost {
			(*mood)(w, r)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { m.HangUp(m.Server) })
	return m, mustConnect(t, Target{Transport: transport, URL: m.URL}, Options{})
}

func (m *moody) set(h http.HandlerFunc) { m.mood.Store(&h) }

// TestEvidenceOfStatus: what HTTP reports about one call, and that the session and its other calls
// outlive it.
func TestEvidenceOfStatus(t *testing.T) {
	for _, transport := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		for _, tc := range []struct {
			status      int
			code        agent.Code
			notExecuted bool
		}{
			{400, agent.CodeInvalidArgument, true}, {401, agent.CodeUnauthenticated, true},
			{403, agent.CodePermissionDenied, true},
			{413, agent.CodeResourceExhausted, true}, {429, agent.CodeResourceExhausted, true},
			{503, agent.CodeUnavailable, true},
			{500, agent.CodeOutcomeUnknown, false}, {502, agent.CodeOutcomeUnknown, false},
			{504, agent.CodeOutcomeUnknown, false},
		} {
			t.Run(fmt.Sprint(transport, " ", tc.status), func(t *testing.T) {
				m, s := newMoody(t, transport)
				hung := make(chan error, 1)
				go func() {
					_, err := call(t.Context(), s, "hang", nil, nil)
					hung <- err
				}()
				await(t, m.Began, "another call")
				m.set(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "3")
					http.Error(w, "not today", tc.status)
				})
				_, err := call(t.Context(), s, "echo", nil, nil)
				e := fixture.WantError(t, err, tc.code, tc.notExecuted)
				if e.RetryAfter != 3*time.Second || !strings.Contains(e.Message, "not today") {
					t.Errorf("%v, retry after %v", e, e.RetryAfter)
				}
				m.mood.Store(nil)
				mustCall(t, s, "echo", nil, nil)
				select {
				case err := <-hung:
					t.Errorf("the other call ended: %v", err)
				default:
				}
				if err := s.Close(t.Context()); err != nil {
					t.Error(err)
				}
				fixture.WantError(t, await(t, hung, "the other call"), agent.CodeOutcomeUnknown, false)
			})
		}
	}
}

// TestEvidenceOfOurOwnRefusal: a JSON-RPC error beside the status is more exact.
func TestEvidenceOfOurOwnRefusal(t *testing.T) {
	m, s := newMoody(t, mcp.Streamable)
	m.set(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"draining","data":{"openmas/error":{"code":"unavailable","message":"draining","retryAfter":1500}}}}`))
	})
	_, err := call(t.Context(), s, "echo", nil, nil)
	if e := fixture.WantError(t, err, agent.CodeUnavailable, true); e.RetryAfter != 1500*time.Millisecond ||
		!strings.HasSuffix(e.Message, ": draining") {
		t.Errorf("%v, retry after %v", e, e.RetryAfter)
	}
	m.mood.Store(nil)
}

// TestEvidenceOfSessionMissing: the session is over, the call may be made on the next one.
func TestEvidenceOfSessionMissing(t *testing.T) {
	for _, transport := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		t.Run(string(transport), func(t *testing.T) {
			m, s := newMoody(t, transport)
			m.set(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "session not found", http.StatusNotFound)
			})
			_, err := call(t.Context(), s, "echo", nil, nil)
			fixture.WantError(t, err, agent.CodeUnavailable, true)
			await(t, s.Done(), "Done")
			if s.Err() == nil {
				t.Error("no reason")
			}
		})
	}
}

// TestEvidenceOfTheConnection: a connection that breaks before and after the request was sent.
func TestEvidenceOfTheConnection(t *testing.T) {
	for _, transport := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		t.Run(string(transport), func(t *testing.T) {
			m, s := newMoody(t, transport)
			errs := make(chan error, 1)
			go func() {
				_, err := call(t.Context(), s, "hang", nil, nil)
				errs <- err
			}()
			await(t, m.Began, "the call")
			m.Listener.Close()
			m.CloseClientConnections()
			fixture.WantError(t, await(t, errs, "the call"), agent.CodeOutcomeUnknown, false)
			_, err := call(t.Context(), s, "echo", nil, nil)
			fixture.WantError(t, err, agent.CodeUnavailable, true)
		})
	}
}
