package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

func TestClientsTakeTheFastPath(t *testing.T) {
	for _, off := range []bool{fixture.NoFastPath, true} {
		for _, version := range []string{"", codec.Version20260728} {
			everyWay(t, Target{Protocol: version}, Options{NoFastPath: off},
				func(t *testing.T, _ *fixture.Foreign, s *Session) {
					for range 3 {
						if res := mustCall(t, s, "echo", map[string]int{"n": 1},
							nil); string(res.Structured) != `{"n":1}` {
							t.Errorf("%s", fixture.MustJSON(t, res))
						}
					}
					if got := s.FastCalls(); off != (got == 0) || !off && got != 3 {
						t.Errorf("%d of 3 calls took the fast path in %s, off %v", got, s.ProtocolVersion(), off)
					}
				})
		}
	}
}

// TestABrokenStreamResumes: the server numbers its events, so that the answer comes although its
// stream was cut.
func TestABrokenStreamResumes(t *testing.T) {
	f := fixture.NewForeign()
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil)
	resumed := make(chan string, 1)
	var answer string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.Header().Set("Content-Type", "text/event-stream")
		var env wire.Envelope
		switch last := r.Header.Get("Last-Event-ID"); {
		case last != "":
			resumed <- last
			_, _ = fmt.Fprintf(w, "data: %s\n\n", answer)
		case env.Scan(body) && string(env.Method) == codec.MethodCall:
			answer = fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"late"}]}}`,
				env.ID)
			_, _ = io.WriteString(w, "id: 7\nretry: 1\ndata:\n\n")
		default:
			w.Header().Del("Content-Type")
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { f.HangUp(srv) })
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL}, Options{})
	if got := mustCall(t, s, "echo", fixture.Word{}, nil).Text(); got != "late" {
		t.Error(got)
	}
	if last := fixture.Receive(t, "the resumption", resumed); last != "7" {
		t.Errorf("Last-Event-ID %q", last)
	}
}

// TestABrokenCallIsNotMadeAgain: whatever a server answers when a broken stream is to resume, the
// call was sent, and may have run.
func TestABrokenCallIsNotMadeAgain(t *testing.T) {
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusFound, http.StatusBadRequest,
		http.StatusNotFound} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel() // the SDK takes its time
			f := fixture.NewForeign()
			handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil)
			var calls atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
				var env wire.Envelope
				switch {
				case r.Header.Get("Last-Event-ID") != "":
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(status)
				case env.Scan(body) && string(env.Method) == codec.MethodCall:
					calls.Add(1)
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(w, "id: 7\nretry: 1\ndata:\n\n")
				default:
					handler.ServeHTTP(w, r)
				}
			}))
			t.Cleanup(func() { f.HangUp(srv) })
			s := mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL}, Options{})
			_, err := call(t.Context(), s, "echo", fixture.Word{}, nil)
			fixture.WantError(t, err, agent.CodeOutcomeUnknown, false)
			if n := calls.Load(); n != 1 {
				t.Errorf("the call was sent %d times", n)
			}
		})
	}
}

// TestServersThatKeepIntegers: some servers answer integer ids only, some keep them in 32 bits.
func TestServersThatKeepIntegers(t *testing.T) {
	// answer is what such a server sends, and the HTTP status that goes with it.
	answer := func(msg []byte) (string, int) {
		var req struct {
			ID     *int32
			Method string
		}
		if err := json.Unmarshal(msg, &req); err != nil {
			return `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the id is no int32"}}`, 500
		}
		result := `{}`
		switch {
		case req.ID == nil:
			return "", http.StatusAccepted
		case req.Method == "initialize":
			result = `{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"typed","version":"1"}}`
		case req.Method == codec.MethodCall:
			result = `{"content":[{"type":"text","text":"fine"}]}`
		}
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":%s}`, *req.ID, result), http.StatusOK
	}
	check := func(t *testing.T, s *Session) {
		for range 3 {
			if got := mustCall(t, s, "any", fixture.Word{Word: "w"}, nil).Text(); got != "fine" {
				t.Error(got)
			}
		}
		if n := s.FastCalls(); n != 3 && !fixture.NoFastPath {
			t.Errorf("%d of 3 calls took the fast path", n)
		}
	}
	t.Run("stdio", func(t *testing.T) {
		near, far := pipes(t)
		go func() {
			for sc := bufio.NewScanner(far.Reader); sc.Scan(); {
				if text, _ := answer(sc.Bytes()); text != "" {
					_, _ = io.WriteString(far.Writer, text+"\n")
				}
			}
		}()
		check(t, overPipes(t, near, Target{}, Options{}))
	})
	t.Run("http", func(t *testing.T) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost {
				w.WriteHeader(http.StatusMethodNotAllowed)
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			text, status := answer(body)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}))
		t.Cleanup(srv.Close)
		check(t, mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL}, Options{}))
	})
}

// FuzzClient lets a server send anything before the answer to a call.
func FuzzClient(f *testing.F) {
	for _, s := range fixture.StrangeMessages {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, strange []byte) {
		if len(strange) > 1<<16 || bytes.Contains(strange, []byte("10737418")) /* the id of a call */ ||
			bytes.Contains(strange, []byte(`\u`)) {
			return
		}
		near, far := pipes(t)
		go func() {
			r := bufio.NewReader(far.Reader)
			for {
				line, err := r.ReadBytes('\n')
				if err != nil {
					return
				}
				var env wire.Envelope
				if !env.Scan(bytes.TrimSpace(line)) || env.ID == nil || env.Method == nil {
					continue
				}
				result := `{}`
				switch string(env.Method) {
				case "initialize":
					result = `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"f","version":"1"}}`
				case codec.MethodCall:
					result = `{"content":[{"type":"text","text":"fine"}]}`
					_, _ = fmt.Fprintf(far.Writer, "%s\n", fixture.OneLine(strange))
				}
				_, _ = fmt.Fprintf(far.Writer, `{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", env.ID, result)
			}
		}()
		s := overPipes(t, near, Target{Trusted: len(strange)%2 == 0}, Options{PingInterval: -1})
		for range 2 {
			if got := mustCall(t, s, "any", fixture.Word{Word: "w"}, nil).Text(); got != "fine" {
				t.Errorf("after %q: %q", strange, got)
			}
		}
	})
}
