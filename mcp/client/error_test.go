package client

import (
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
	return moodyAt(t, Target{Transport: transport})
}

func moodyAt(t *testing.T, target Target) (*moody, *Session) { return moodyWith(t, target, Options{}) }

func moodyWith(t *testing.T, target Target, o Options) (*moody, *Session) {
	m := &moody{Foreign: fixture.NewForeign()}
	get := func(*http.Request) *sdk.Server { return m.Foreign.Server }
	var h http.Handler = sdk.NewStreamableHTTPHandler(get, nil)
	if target.Transport == mcp.SSE {
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
	target.URL = m.URL
	return m, mustConnect(t, target, o)
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

// TestEvidenceOfOurOwnRefusal: a JSON-RPC error beside the status is more exact. It is believed of
// our own servers only.
func TestEvidenceOfOurOwnRefusal(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		m, s := moodyAt(t, Target{Transport: mcp.Streamable, Trusted: trusted})
		m.set(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"draining","data":{"openmas/error":{"code":"unavailable","message":"draining","retryAfter":1500}}}}`))
		})
		_, err := call(t.Context(), s, "echo", nil, nil)
		want := 1500 * time.Millisecond
		if !trusted {
			want = 0
		}
		if e := fixture.WantError(t, err, agent.CodeUnavailable, true); e.RetryAfter != want || e.Details != nil ||
			!strings.HasSuffix(e.Message, ": draining") {
			t.Errorf("trusted %v: %v, retry after %v", trusted, e, e.RetryAfter)
		}
		m.mood.Store(nil)
	}
}

// What only our own servers may say of an error is not believed of others, and goes no further.
func TestAForeignServerClaimsToBeOurs(t *testing.T) {
	const claims = `"openmas/code":"unavailable","openmas/retry-after":3600000,"openmas/not-executed":true,` +
		`"openmas/rpc-code":-32042,"openmas/details":1`
	for _, c := range []struct {
		answer  string
		code    agent.Code
		rpc     string
		details string
		raw     string
	}{
		{`{"result":{"isError":true,"content":[{"type":"text","text":"unavailable: no"}],"_meta":{"k":1.0,` + claims + `}}}`,
			agent.CodeToolFailed, "", "",
			`{"isError":true,"content":[{"type":"text","text":"unavailable: no"}],"_meta":{"k":1.0}}`},
		{`{"error":{"code":-32050,"message":"unavailable: no","data":{"n":1.0,"openmas/error":{"code":"unavailable",` +
			`"retryAfter":3600000,"notExecuted":true},` + claims + `}}}`, agent.CodeInternal,
			`{"code":-32050,"message":"unavailable: no","data":{"n":1.0}}`, `{"n":1.0}`, ""},
	} {
		for _, fast := range []bool{true, false} {
			s := newRaw(map[string]string{"tools/call": c.answer}).stdio(t, Options{NoFastPath: !fast})
			_, err := call(t.Context(), s, "good", nil, nil)
			e := agent.AsError(err)
			if err == nil || e.Code != c.code || e.RetryAfter != 0 || e.NotExecuted || string(e.RPC) != c.rpc ||
				string(e.Details) != c.details || string(e.Raw) != c.raw ||
				!strings.HasSuffix(e.Message, "unavailable: no") {
				t.Errorf("%s\ngave %s", c.answer, fixture.MustJSON(t, err))
			}
		}
	}
}

// A status says that the call did not run, and the error of JSON-RPC in the body goes on as it
// came, unless the status is about something else than the request.
func TestErrorsInTheBodyOfARefusal(t *testing.T) {
	const rpc = `{"message":"wrong city","code":0,"hint":[1.0]}`
	for status, want := range map[int]string{http.StatusBadRequest: rpc, http.StatusUnprocessableEntity: rpc,
		http.StatusForbidden: "", http.StatusTooManyRequests: ""} {
		for _, fast := range []bool{true, false} {
			m, s := moodyWith(t, Target{Transport: mcp.Streamable}, Options{NoFastPath: !fast})
			m.set(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				var ask struct {
					ID     json.RawMessage
					Method string
				}
				if json.NewDecoder(r.Body).Decode(&ask) == nil && ask.Method == "ping" { // the session is well
					_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{}}`, ask.ID)
					return
				}
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"error":%s}`, rpc)
			})
			_, err := call(t.Context(), s, "echo", nil, nil)
			e := agent.AsError(err)
			if err == nil || string(e.RPC) != want || !e.NotExecuted || !strings.HasSuffix(e.Message, "wrong city") {
				t.Errorf("status %d, fast path %v: %s", status, fast, fixture.MustJSON(t, err))
			}
			m.mood.Store(nil)
		}
	}
}

// Some servers write an empty error beside each result.
func TestNoErrorBesideAResult(t *testing.T) {
	for _, none := range []string{"false", "null", `""`, "0", "{}", "[]"} {
		for _, fast := range []bool{true, false} {
			answer := `{"result":{"content":[{"type":"text","text":"fine"}]},"error":` + none + `}`
			s := newRaw(map[string]string{"tools/call": answer}).stdio(t, Options{NoFastPath: !fast})
			if res, err := call(t.Context(), s, "good", nil, nil); err != nil || res.Text() != "fine" {
				t.Errorf("error %s, fast path %v: %v", none, fast, err)
			}
		}
	}
	for _, some := range []string{`{"code":1}`, `"no"`, "7", "true"} {
		answer := `{"result":{"content":[]},"error":` + some + `}`
		s := newRaw(map[string]string{"tools/call": answer}).stdio(t, Options{})
		if _, err := call(t.Context(), s, "good", nil, nil); err == nil {
			t.Errorf("error %s is none", some)
		}
	}
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
