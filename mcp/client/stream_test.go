package client

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// streaming is a server over streamable HTTP whose stream outside of calls says what it is told to.
func streaming(t *testing.T, said <-chan string, calls http.HandlerFunc) string {
	inner := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // in memory
		var env wire.Envelope
		if env.Scan(body); env.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		calls(w, r)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			_ = http.NewResponseController(w).Flush() // a client that is gone ends the request
			select {
			case s := <-said:
				_, _ = io.WriteString(w, s) // as above
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// TestABadEventCostsItselfOnly: what comes on the stream outside of calls and is no message ends
// neither the stream nor the session.
func TestABadEventCostsItselfOnly(t *testing.T) {
	said := make(chan string, 100)
	url := streaming(t, said, func(w http.ResponseWriter, r *http.Request) {
		id, method := idOf(r)
		w.Header().Set("Content-Type", "application/json")
		if method == codec.MethodCall {
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`, id)
		} else {
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"tools":[]}}`, id)
		}
	})
	lines := make(chan string, 10)
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: url}, Options{Back: agent.BackChannelFuncs{
		OnLog: func(l agent.LogNotice) { lines <- string(l.Data) }}})
	for i, bad := range []string{"hello", `{"jsonrpc":"2.0","method":"notifications/message","params":{"data":NaN}}`, `[`,
		`{}`, `{"jsonrpc":"1.0","method":"x"}`, `{"jsonrpc":"2.0","id":null,"error":{}}`, `null`, `"`,
		`{"jsonrpc":"2.0","id":{},"result":{}}`} {
		said <- "data: " + bad + "\n\n"
		said <- fmt.Sprintf("id: %d\nretry: 5\n: a comment\ndata: ", i) +
			`{"jsonrpc":"2.0","method":"notifications/message",` +
			fmt.Sprintf(`"params":{"level":"info","data":%d}}`, i) + "\n\n"
		if got := fixture.Receive(t, "a log line", lines); got != fmt.Sprint(i) {
			t.Errorf("after %s: %s", bad, got)
		}
	}
	if _, err := call(t.Context(), s, "any", struct{}{}, nil); err != nil {
		t.Errorf("the session does not go on: %v", err)
	}
}

// filter: a bad event on the stream outside of calls ends the session.
func TestSDKEndsSessionsAtABadEvent(t *testing.T) {
	said := make(chan string, 1)
	url := streaming(t, said, nil)
	cs, err := fixture.ConnectSDK(t, &sdk.StreamableClientTransport{Endpoint: url, MaxRetries: -1},
		codec.Version20251125, nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cs.Wait() }()
	said <- "data: hello\n\n"
	if err := fixture.Receive(t, "the end of the session", ended); err == nil {
		t.Error("the session has ended without an error")
	}
}

// TestAStreamGoesOnWhereItBroke: events that hold no message have ids as well.
func TestAStreamGoesOnWhereItBroke(t *testing.T) {
	asked := make(chan string, 10)
	inner := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		id, _ := idOf(r)
		if id == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"tools":[]}}`, id)
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		last := r.Header.Get("Last-Event-ID")
		asked <- last
		if last == "" {
			_, _ = io.WriteString(w, "id: 7\nretry: 1\n\nid: 8\ndata: no message\n\n")
			return
		}
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL}, Options{})
	for _, want := range []string{"", "8"} {
		if got := fixture.Receive(t, "the GET", asked); got != want {
			t.Errorf("Last-Event-ID %q, want %q", got, want)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// hijack takes over the connection of a request, and says text on it.
func hijack(t *testing.T, w http.ResponseWriter, text string, reset bool) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(c, text) // the client may be gone
	if tcp, ok := c.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// withStream is a server with one tool, whose stream outside of calls is get; n counts its GETs
// from 1.
func withStream(t *testing.T, get func(w http.ResponseWriter, r *http.Request, n int)) string {
	inner := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		id, method := idOf(r)
		if id == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		result := `{}`
		if method == codec.MethodCall {
			result = `{"content":[{"type":"text","text":"fine"}]}`
		}
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
	})
	var gets atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			get(w, r, int(gets.Add(1)))
			return
		}
		w.Header().Set(codec.SessionHeader, "s1")
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

const logged = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":%d}}` + "\n\n"

// A GET that fails in whatever way costs nothing, and is made again.
func TestAFailedStreamCostsNothing(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect to another origin was followed")
	}))
	t.Cleanup(other.Close)
	for name, fail := range map[string]http.HandlerFunc{
		"reset":    func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, "", true) },
		"closed":   func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, "", false) },
		"not HTTP": func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, "SSH-2.0-OpenSSH\r\n", false) },
		"loop": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		},
		"other": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		},
	} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, !off), func(t *testing.T) {
				t.Parallel()
				heal := make(chan struct{})
				url := withStream(t, func(w http.ResponseWriter, r *http.Request, _ int) {
					select {
					case <-heal:
					default:
						fail(w, r)
						return
					}
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = fmt.Fprintf(w, logged, 1)
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				})
				log, lines := &testkit.Buffer{}, make(chan string, 10)
				s := mustConnect(t, Target{Transport: mcp.Streamable, URL: url}, Options{NoFastPath: off,
					Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
					Back:   agent.BackChannelFuncs{OnLog: func(l agent.LogNotice) { lines <- string(l.Data) }}})
				if got := mustCall(t, s, "any", struct{}{}, nil).Text(); got != "fine" {
					t.Error(got)
				}
				close(heal)
				if got := fixture.Receive(t, "a log line of the stream", lines); got != "1" {
					t.Error(got)
				}
				if text := log.String(); strings.Contains(text, "WARN") || !strings.Contains(text, "for it again") {
					t.Errorf("%s", text)
				}
			})
		}
	}
}

// A stream may end as often as it likes: its events come once and in order, and the session stays.
func TestAStreamThatEndsAgainAndAgain(t *testing.T) {
	const last = 12
	for _, off := range []bool{false, true} {
		t.Run(fmt.Sprint(!off), func(t *testing.T) {
			t.Parallel()
			url := withStream(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if want := fmt.Sprint((n - 1) / 2); n > 2 && r.Header.Get(codec.LastEventHeader) != want {
					t.Errorf("GET %d: Last-Event-ID %q, want %s", n, r.Header.Get(codec.LastEventHeader), want)
				}
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "retry: 100\n\n")
				if n%2 == 0 { // half of them end at once, and the others within an event
					_, _ = fmt.Fprintf(w, "id: %d\n"+logged+`id: 99%sdata: {"jsonrpc`, n/2, n/2, "\n")
				}
			})
			lines := make(chan string, 100)
			s := mustConnect(t, Target{Transport: mcp.Streamable, URL: url}, Options{NoFastPath: off,
				Back: agent.BackChannelFuncs{OnLog: func(l agent.LogNotice) { lines <- string(l.Data) }}})
			for i := 1; i <= last; i++ {
				if got := fixture.Receive(t, "a log line", lines); got != fmt.Sprint(i) {
					t.Fatalf("%s, want %d", got, i)
				}
			}
			mustCall(t, s, "any", struct{}{}, nil)
		})
	}
}

// A stream that always ends at once is asked for ever more rarely, and is never given up.
func TestAnIdleStreamIsAskedForMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		rt := newRoundTripper(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			at = append(at, time.Now())
			if len(at)%2 == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return madeUp(r, http.StatusOK, "text/event-stream", ""), nil
		}), true, Options{MaxFrame: 1000, Logger: slog.New(slog.DiscardHandler)})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _, _ = io.Copy(io.Discard, resp.Body) }()
		time.Sleep(10 * time.Minute) // of the bubble's clock
		synctest.Wait()
		if n := len(at); n < 18 || n > 32 {
			rt.abort()
			t.Fatalf("%d requests in 10 minutes", n)
		}
		if d := at[1].Sub(at[0]); d < 800*time.Millisecond || d > 1200*time.Millisecond {
			t.Errorf("the second after %v", d)
		}
		select {
		case <-ended:
			t.Error("the stream has ended")
		default:
		}
		rt.abort()
		<-ended
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	})
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A stream that is gone with its session ends the latter; one that is refused does not.
func TestAForgottenStreamEndsItsSession(t *testing.T) {
	for status, ends := range map[int]bool{404: true, 405: false, 400: false, 503: false} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprint(status, !off), func(t *testing.T) {
				t.Parallel()
				asked := make(chan int, 100)
				url := withStream(t, func(w http.ResponseWriter, _ *http.Request, n int) {
					asked <- n
					if n > 1 {
						w.WriteHeader(status)
						return
					}
					w.Header().Set("Content-Type", "text/event-stream")
					_, _ = io.WriteString(w, "retry: 100\n\n")
				})
				s := mustConnect(t, Target{Transport: mcp.Streamable, URL: url}, Options{NoFastPath: off})
				fixture.Receive(t, "the first GET", asked)
				fixture.Receive(t, "the second GET", asked)
				if ends {
					fixture.Receive(t, "the end of the session", s.Done())
					return
				}
				if status != 405 {
					fixture.Receive(t, "the third GET", asked)
				}
				mustCall(t, s, "any", struct{}{}, nil)
			})
		}
	}
}
