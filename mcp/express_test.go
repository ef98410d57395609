package mcp

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

func TestServersTakeTheLane(t *testing.T) {
	for _, off := range []bool{noExpress, true} {
		dir := &crew{}
		dir.add(t, "echo", echoCaps(newProbe()))
		s := newSite(t, dir, GatewayOptions{HostOptions: HostOptions{NoExpress: off}})
		for _, w := range everyClient() {
			t.Run(fmt.Sprintf("%s, off %v", w, off), func(t *testing.T) {
				cs := s.join(t, w, nil)
				// a round trip after the handshake, which is not answered
				if _, err := cs.ListTools(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				before := s.Express()
				for range 3 {
					if res := callTool(t, cs, "echo_say", word{"w"}); textOf(res) != `{"echoed":"w"}` {
						t.Errorf("%s", mustJSON(t, res))
					}
				}
				want := int64(3)
				if off {
					want = 0
				}
				if got := s.Express() - before; got != want {
					t.Errorf("%d of 3 calls took the lane, want %d", got, want)
				}
				if open := s.Sessions(); cs.InitializeResult().ProtocolVersion <= eraLast && w.transport != Stdio &&
					open[len(open)-1].Express != want {
					t.Errorf("the session tells of %d calls on the lane, want %d", open[len(open)-1].Express, want)
				}
			})
		}
	}
}

func TestClientsTakeTheLane(t *testing.T) {
	for _, off := range []bool{noExpress, true} {
		for _, era := range []string{"", eraNewest} {
			everyWay(t, Target{Protocol: era}, ConnectOptions{NoExpress: off},
				func(t *testing.T, _ *fixture, s *Session) {
					for range 3 {
						if res := mustCall(t, s, "echo", map[string]int{"n": 1},
							nil); string(res.Structured) != `{"n":1}` {
							t.Errorf("%s", mustJSON(t, res))
						}
					}
					if got := s.Express(); off != (got == 0) || !off && got != 3 {
						t.Errorf("%d of 3 calls took the lane in %s, off %v", got, s.ProtocolVersion(), off)
					}
				})
		}
	}
}

// TestAStreamThatBreaksGoesOn: the server numbers its events, so that the answer comes although its
// stream was cut.
func TestAStreamThatBreaksGoesOn(t *testing.T) {
	f := newFixture()
	mcp := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil)
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
		case env.Scan(body) && string(env.Method) == methodCall:
			answer = fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"late"}]}}`,
				env.ID)
			_, _ = io.WriteString(w, "id: 7\nretry: 1\ndata:\n\n")
		default:
			w.Header().Del("Content-Type")
			mcp.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { f.hangUp(srv) })
	s := mustConnect(t, Target{Transport: Streamable, URL: srv.URL}, ConnectOptions{})
	if got := mustCall(t, s, "echo", word{}, nil).Text(); got != "late" {
		t.Error(got)
	}
	if last := receive(t, "the resumption", resumed); last != "7" {
		t.Errorf("Last-Event-ID %q", last)
	}
}

// TestABrokenCallIsNotMadeAgain: whatever a server says when a broken stream is to go on, the call
// was sent, and may have run.
func TestABrokenCallIsNotMadeAgain(t *testing.T) {
	for _, status := range []int{http.StatusTemporaryRedirect, http.StatusFound, http.StatusBadRequest,
		http.StatusNotFound} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel() // the SDK takes its time
			f := newFixture()
			mcp := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil)
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
				case env.Scan(body) && string(env.Method) == methodCall:
					calls.Add(1)
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(w, "id: 7\nretry: 1\ndata:\n\n")
				default:
					mcp.ServeHTTP(w, r)
				}
			}))
			t.Cleanup(func() { f.hangUp(srv) })
			s := mustConnect(t, Target{Transport: Streamable, URL: srv.URL}, ConnectOptions{})
			_, err := call(t.Context(), s, "echo", word{}, nil)
			wantError(t, err, agent.CodeOutcomeUnknown, false)
			if n := calls.Load(); n != 1 {
				t.Errorf("the call was sent %d times", n)
			}
		})
	}
}

var strangeMessages = []string{
	`{"jsonrpc":"2.0","id":"x-1","method":"tools/call","params":{"name":"say","arguments":{"word":"a"}}}`,
	`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"say","arguments":[]}}`,
	`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"nobody"}}`,
	`{"jsonrpc":"2.0","id":9,"method":"tools/call"}`, `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"say"}}`,
	`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}`,
	`{"jsonrpc":"2.0","method":"notifications/cancelled","params":null}`, `{"jsonrpc":"2.0","id":"x-5","result":{}}`,
	`{"jsonrpc":"2.0","id":"x-5","error":{"code":1}}`,
	`{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"say"}}`,
	`[{"jsonrpc":"2.0","id":4,"method":"ping"}]`, `{}`, `null`, "\xff", `{"jsonrpc":"2.0","id":3`,
	`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"say","arguments":{"word":"a"},"_meta":{"progressToken":1e9}}}`,
	`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"say","arguments":{"word":"a"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
	`{"jsonrpc":"2.0","id":9,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`,
	`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"om-1","progress":"x"}}`,
	`{"jsonrpc":"2.0","id":8,"method":"elicitation/create","params":{}}`,
}

// oneLine makes what a fuzzer thinks of fit between two messages.
func oneLine(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, b)
}

// FuzzServer sends anything between a handshake and a call, which is to be answered.
func FuzzServer(f *testing.F) {
	for _, s := range strangeMessages {
		f.Add([]byte(s))
	}
	dir := &crew{}
	echo := dir.add(f, "echo", echoCaps(newProbe()))
	f.Fuzz(func(t *testing.T, strange []byte) {
		if len(strange) > 1<<16 || bytes.Contains(strange, []byte("probe")) || bytes.Contains(strange, []byte("wait")) {
			return
		}
		inR, inW := io.Pipe()
		outR, outW := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			err := ServeStdio(context.Background(), echo, inR, outW, HostOptions{Logger: quiet, NoExpress: noExpress},
				Identity{Trusted: len(strange)%2 == 0})
			_ = outW.Close()
			_ = inR.Close()
			ended <- err
		}()
		greeted := make(chan struct{})
		go func() {
			_, _ = io.WriteString(inW, initialize+"\n")
			<-greeted
			_, _ = fmt.Fprintf(inW, "%s\n%s\n%s\n", initialized, oneLine(strange),
				`{"jsonrpc":"2.0","id":"probe","method":"tools/call","params":{"name":"say","arguments":{"word":"still"}}}`)
			_ = inW.Close() // the server answers what is in flight, and ends
		}()
		answered, said := false, ""
		for r := bufio.NewReader(outR); ; {
			line, err := r.ReadString('\n')
			if said == "" {
				close(greeted)
			}
			said += line
			if strings.Contains(line, `"probe"`) && strings.Contains(line, "still") {
				answered = true
			}
			if err != nil {
				break
			}
		}
		if err := receive(t, "the end", ended); err != nil || !answered {
			t.Errorf("after %q the call was answered: %v; the session ended: %v; the server said %s", strange, answered,
				err, said)
		}
	})
}

// FuzzClient lets a server send anything before the answer to a call.
func FuzzClient(f *testing.F) {
	for _, s := range strangeMessages {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, strange []byte) {
		if len(strange) > 1<<16 || bytes.Contains(strange, []byte("x-")) || bytes.Contains(strange, []byte(`\u`)) {
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
				case methodCall:
					result = `{"content":[{"type":"text","text":"fine"}]}`
					_, _ = fmt.Fprintf(far.Writer, "%s\n", oneLine(strange))
				}
				_, _ = fmt.Fprintf(far.Writer, `{"jsonrpc":"2.0","id":%s,"result":%s}`+"\n", env.ID, result)
			}
		}()
		s := overPipes(t, near, Target{Trusted: len(strange)%2 == 0}, ConnectOptions{PingInterval: -1})
		for range 2 {
			if got := mustCall(t, s, "any", word{"w"}, nil).Text(); got != "fine" {
				t.Errorf("after %q: %q", strange, got)
			}
		}
	})
}
