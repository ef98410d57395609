package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
)

// sseServer serves f over HTTP until the test ends.
func sseServer(t *testing.T, f *fixture, o SSEServerOptions) (*SSEServer, string) {
	t.Helper()
	if o.Connect == nil {
		o.Connect = func(ctx context.Context, c *SSEConn) (*sdk.ServerSession, error) { return f.Connect(ctx, c, nil) }
	}
	o.Logger = quiet
	s, err := NewSSEServer(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Serve(w, r, r.Header.Get("X-User"))
	}))
	if o.WriteTimeout > 0 { // keep the kernel from hiding that a client does not read
		srv.Config.ConnState = func(c net.Conn, s http.ConnState) {
			if tc, ok := c.(*net.TCPConn); ok && s == http.StateNew {
				_ = tc.SetWriteBuffer(4 << 10) // a larger buffer only makes the test slower
			}
		}
	}
	srv.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	return s, srv.URL
}

func sseClient(t *testing.T, o SSEClientOptions) *SSEClient {
	t.Helper()
	o.Logger = quiet
	c, err := NewSSEClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// stockClient is the SDK's own client transport, over connections that end with the test.
func stockClient(t *testing.T, url string) sdk.Transport {
	hc, err := NewHTTPClient(HTTPOptions{Origin: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return &sdk.SSEClientTransport{Endpoint: url, HTTPClient: hc}
}

func TestSSECarriesSessions(t *testing.T) {
	t.Run("ours on both ends", func(t *testing.T) {
		f := newFixture()
		s, url := sseServer(t, f, SSEServerOptions{})
		exercise(t, f, func(t *testing.T, progress func(float64)) *sdk.ClientSession {
			return dial(t, sseClient(t, SSEClientOptions{URL: url + "/sse"}), progress)
		})
		testkit.Eventually(t, "the session to be gone", func() bool { n, _ := s.Stats(); return n == 0 })
	})
	t.Run("our client", func(t *testing.T) {
		f := newFixture()
		srv := httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return f.Server }, nil))
		defer srv.Close()
		exercise(t, f, func(t *testing.T, progress func(float64)) *sdk.ClientSession {
			return dial(t, sseClient(t, SSEClientOptions{URL: srv.URL + "/sse"}), progress)
		})
	})
	t.Run("our server", func(t *testing.T) {
		f := newFixture()
		_, url := sseServer(t, f, SSEServerOptions{})
		exercise(t, f, func(t *testing.T, progress func(float64)) *sdk.ClientSession {
			return dial(t, stockClient(t, url+"/agents/geo/sse"), progress)
		})
	})
}

// rawStream is a session opened by hand.
type rawStream struct {
	*bufio.Reader
	url, endpoint string
	close         func() error
}

func openStream(t *testing.T, url string, header ...string) *rawStream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close(); tr.CloseIdleConnections() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("GET: %s %v %s", resp.Status, resp.Header, body)
	}
	s := &rawStream{Reader: bufio.NewReader(resp.Body), url: url, close: resp.Body.Close}
	if got := readLineOf(t, s.Reader); got != "event: endpoint\n" {
		t.Fatalf("first line %q", got)
	}
	s.endpoint = strings.TrimSuffix(strings.TrimPrefix(readLineOf(t, s.Reader), "data: "), "\n")
	if got := readLineOf(t, s.Reader); got != "\n" {
		t.Fatalf("third line %q", got)
	}
	return s
}

func postTo(t *testing.T, url, contentType, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got), resp.Header
}

const pingLine = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

func TestSSEServerLayout(t *testing.T) {
	_, url := sseServer(t, newFixture(), SSEServerOptions{})
	for prefix, want := range map[string]string{"": "", "/agents/geo": "/agents/geo",
		"/a%0D%0Aevent:%20x": "/a%0D%0Aevent:%20x"} {
		s := openStream(t, url+prefix+"/sse")
		if !regexp.MustCompile("^" + want + `/messages/\?session_id=[0-9a-f]{32}$`).MatchString(s.endpoint) {
			t.Errorf("%s: endpoint %q", prefix, s.endpoint)
		}
		for _, endpoint := range []string{s.endpoint, strings.Replace(s.endpoint, "/messages/?", "/messages?", 1)} {
			status, body, _ := postTo(t, url+endpoint, "application/json; charset=utf-8", " "+pingLine+"\r\n")
			if status != http.StatusAccepted || body != "" {
				t.Errorf("POST: %d %q", status, body)
			}
			for _, want := range []string{"event: message\n", `data: {"jsonrpc":"2.0","id":1,"result":{}}` + "\n",
				"\n"} {
				if got := readLineOf(t, s.Reader); got != want {
					t.Errorf("event line %q, want %q", got, want)
				}
			}
		}
	}
}

func TestSSEServerRefuses(t *testing.T) {
	_, url := sseServer(t, newFixture(), SSEServerOptions{MaxBody: 1000, MaxSessions: 1})
	s := openStream(t, url+"/agents/a/sse", "X-User", "ann")
	ep, js := url+s.endpoint, "application/json"
	for _, c := range []struct {
		name, url, contentType, body, user string
		status                             int
		text                               string
	}{
		{"no session", url + "/agents/a/messages/", js, pingLine, "ann", 400, "session_id is missing"},
		{"unknown session", url + "/agents/a/messages/?session_id=0123456789abcdef0123456789abcdef", js, pingLine,
			"ann", 404, "no such session"},
		{"another mount", strings.Replace(ep, "/agents/a/", "/agents/b/", 1), js, pingLine, "ann", 404,
			"no such session"},
		{"another identity", ep, js, pingLine, "bob", 403, "another identity"},
		{"no identity", ep, js, pingLine, "", 403, "another identity"},
		{"content type", ep, "text/plain", pingLine, "ann", 415, "application/json"},
		{"too large", ep, js, `{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 1000) + `"}`, "ann", 413,
			"1000 bytes"},
		{"garbage", ep, js, "hello", "ann", 400, "not a JSON-RPC message"},
		{"batch", ep, js, "[" + pingLine + "]", "ann", 400, "not a JSON-RPC message"},
		{"empty", ep, js, "", "ann", 400, "not a JSON-RPC message"},
		{"not UTF-8", ep, js, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", "ann", 400, "UTF-8"},
		{"POST to the stream", url + "/sse", js, pingLine, "ann", 405, "use GET"},
		{"elsewhere", url + "/agents", js, pingLine, "ann", 404, ""},
		{"and yet it lives", ep, js, pingLine, "ann", 202, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body, _ := postTo(t, c.url, c.contentType, c.body, "X-User", c.user)
			if status != c.status || !strings.Contains(body, c.text) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	resp, err := http.Get(url + "/sse")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	var body struct{ Error string }
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != 503 ||
		resp.Header.Get("Retry-After") == "" || !strings.Contains(body.Error, "too many sessions: 1") {
		t.Errorf("a session over the limit: %s %v %+v %v", resp.Status, resp.Header, body, err)
	}
	s.close()
	testkit.Eventually(t, "room for a session", func() bool {
		resp, err := http.Get(url + "/sse")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode == 200
	})
}

func TestSSEServerSetUpFails(t *testing.T) {
	for name, connect := range map[string]func(context.Context, *SSEConn) (*sdk.ServerSession, error){
		"error": func(context.Context, *SSEConn) (*sdk.ServerSession, error) { return nil, errors.New("no room") },
		"panic": func(context.Context, *SSEConn) (*sdk.ServerSession, error) { panic("oh") },
		"nil":   func(context.Context, *SSEConn) (*sdk.ServerSession, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSSEServer(SSEServerOptions{Connect: connect, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			s.Serve(w, httptest.NewRequest("GET", "/sse", nil), nil)
			var body struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 500 ||
				w.Header().Get("Content-Type") != "application/json" || body.Error == "" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			w = httptest.NewRecorder()
			s.Serve(w, httptest.NewRequest("GET", "/sse", nil), nil)
			if w.Code != 503 || !strings.Contains(w.Body.String(), "shutting down") {
				t.Errorf("while draining: %d %s", w.Code, w.Body)
			}
		})
	}
	if _, err := NewSSEServer(SSEServerOptions{}); err == nil {
		t.Error("a server without Connect")
	}
}

func TestSSEDisconnectCancelsTools(t *testing.T) {
	f := newFixture()
	s, url := sseServer(t, f, SSEServerOptions{})
	client := sseClient(t, SSEClientOptions{URL: url + "/sse"})
	cs := dial(t, client, nil)
	other := dial(t, sseClient(t, SSEClientOptions{URL: url + "/sse"}), nil)
	failed := make(chan error, 1)
	go func() {
		_, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "wait"})
		failed <- err
	}()
	receive(t, f.started, "the call to start")
	testkit.Eventually(t, "the call to be counted", func() bool { n, calls := s.Stats(); return n == 2 && calls == 1 })
	client.Close()
	receive(t, f.cancelled, "the tool to be cancelled")
	if err := receive(t, failed, "the call to fail"); err == nil {
		t.Error("the call succeeded")
	}
	testkit.Eventually(t, "the session to be gone", func() bool { n, _ := s.Stats(); return n == 1 })
	mustEcho(t, other)
}

func TestSSEShutdown(t *testing.T) {
	f := newFixture()
	s, url := sseServer(t, f, SSEServerOptions{})
	client := sseClient(t, SSEClientOptions{URL: url + "/sse"})
	cs := dial(t, client, nil)
	go cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "wait"})
	receive(t, f.started, "the call to start")
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	receive(t, f.cancelled, "the tool to be cancelled")
	receive(t, client.Done(), "the stream to end")
	if err := client.Err(); !errors.Is(err, ErrPeerClosed) {
		t.Errorf("the client's connection ended with %v", err)
	}
}

func TestSSEServerRequestAndHook(t *testing.T) {
	f := newFixture()
	var hooked atomic.Int32
	conns := make(chan *SSEConn, 1)
	_, url := sseServer(t, f, SSEServerOptions{
		Connect: func(ctx context.Context, c *SSEConn) (*sdk.ServerSession, error) {
			conns <- c
			c.SetHook(func(raw []byte, env *Envelope) bool {
				if string(env.Method) != "mine" {
					return false
				}
				hooked.Add(1)
				return c.WriteRaw(ctx, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":"taken"}`, env.ID)) == nil
			})
			return f.Connect(ctx, c, nil)
		},
	})
	cs := dial(t, sseClient(t,
		SSEClientOptions{URL: url + "/sse", Header: http.Header{"X-User": {"ann"}, "X-Test": {"tested"}}}), nil)
	mustEcho(t, cs)
	if got := f.header.Load(); got != "tested" {
		t.Errorf("the tool saw the header %q", got)
	}
	c := <-conns
	if c.Identity() != "ann" || c.Request().Header.Get("X-Test") != "tested" || len(c.SessionID()) != 8 ||
		c.SupportsProtocolVersion("2026-07-28") || !c.SupportsProtocolVersion("2025-11-25") {
		t.Errorf("connection %+v", c)
	}
	s := openStream(t, url+"/sse", "X-User", "x")
	<-conns
	if status, _, _ := postTo(t, url+s.endpoint, "application/json", `{"jsonrpc":"2.0","id":"h","method":"mine"}`,
		"X-User", "x"); status != 202 {
		t.Errorf("status %d", status)
	}
	readLineOf(t, s.Reader)
	if got := readLineOf(t, s.Reader); got != `data: {"jsonrpc":"2.0","id":"h","result":"taken"}`+"\n" ||
		hooked.Load() != 1 {
		t.Errorf("%s, hooked %d", got, hooked.Load())
	}
}

// stream is a response that can be read while it is written.
type stream struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ResponseRecorder.Write(p)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Body.String()
}

// TestSSEServerTime runs in fake time: it serves without sockets.
func TestSSEServerTime(t *testing.T) {
	const minutes = time.Minute
	for _, c := range []struct {
		name     string
		o        SSEServerOptions
		unused   bool // no call at all
		lastsFor time.Duration
	}{
		{"lifetime, call in flight", SSEServerOptions{Lifetime: 60 * minutes}, false, 600 * minutes},
		{"lifetime, unused", SSEServerOptions{Lifetime: 60 * minutes}, true, 59 * minutes},
		{"no lifetime", SSEServerOptions{Lifetime: -1}, false, 600 * minutes},
		{"idle, call in flight", SSEServerOptions{Lifetime: -1, Idle: 10 * minutes}, false, 600 * minutes},
		{"idle, unused", SSEServerOptions{Idle: 10 * minutes}, true, 9 * minutes},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture()
				c.o.Logger = quiet
				c.o.Connect = func(ctx context.Context, conn *SSEConn) (*sdk.ServerSession, error) {
					return f.Connect(ctx, conn, nil)
				}
				s, err := NewSSEServer(c.o)
				if err != nil {
					t.Fatal(err)
				}
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				w := &stream{ResponseRecorder: httptest.NewRecorder()}
				go s.Serve(w, httptest.NewRequestWithContext(ctx, "GET", "/sse", nil), nil)
				synctest.Wait()
				endpoint := strings.TrimSpace(strings.TrimPrefix(w.String(), "event: endpoint\ndata: "))
				send := func(msg string) {
					r := httptest.NewRequest("POST", endpoint, strings.NewReader(msg))
					r.Header.Set("Content-Type", "application/json")
					w := httptest.NewRecorder()
					if s.Serve(w, r, nil); w.Code != 202 {
						t.Fatalf("POST %s: %d %s", msg, w.Code, w.Body)
					}
				}
				if !c.unused {
					send(`{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`)
					send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
					send(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"wait"}}`)
				}
				time.Sleep(c.lastsFor)
				synctest.Wait()
				if n, _ := s.Stats(); n != 1 {
					t.Fatalf("%d sessions after %v", n, c.lastsFor)
				}
				// 15 s between pings
				if got := strings.Count(w.String(), ": ping\n\n"); got < int(c.lastsFor/(16*time.Second)) {
					t.Errorf("%d pings in %v", got, c.lastsFor)
				}
				if !c.unused {
					send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`)
				}
				time.Sleep(20 * minutes)
				synctest.Wait()
				want := 0
				if c.o.Lifetime < 0 && c.o.Idle == 0 {
					want = 1
				}
				if n, _ := s.Stats(); n != want {
					t.Errorf("%d sessions at the end, want %d", n, want)
				}
				leave()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestSSEServerDropsClientThatDoesNotRead(t *testing.T) {
	s, url := sseServer(t, newFixture(), SSEServerOptions{WriteTimeout: 300 * time.Millisecond, MaxQueue: 1 << 10})
	other := dial(t, sseClient(t, SSEClientOptions{URL: url + "/sse"}), nil)
	stream := openStream(t, url+"/sse")
	msgs := []string{
		`{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`,
	}
	for i := range 8 {
		msgs = append(msgs, fmt.Sprintf(
			`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"echo","arguments":{"text":"t","size":4000000}}}`, i))
	}
	for _, msg := range msgs {
		if status, body, _ := postTo(t, url+stream.endpoint, "application/json", msg); status != 202 && status != 404 {
			t.Errorf("POST %s: %d %s", msg, status, body)
		}
	}
	testkit.Eventually(t, "the session to be dropped", func() bool { n, _ := s.Stats(); return n == 1 })
	mustEcho(t, other)
}

func TestEventReader(t *testing.T) {
	stream := "\xef\xbb\xbfevent: a\r\ndata: 1\r\n\r\n: comment\n\nevent: lost\n\ndata:2\nid: 5\ndata: 3\nretry: " +
		"1\nwhat\n\ndata\n\ndata: " + strings.Repeat("x", 100) + "\n\ndata: cut off"
	r := NewEventReader(strings.NewReader(stream), 100)
	for _, want := range []string{"a/1", "/2\n3", "/", "/" + strings.Repeat("x", 100)} {
		name, data, err := r.Next()
		if got := name + "/" + string(data); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if _, _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off: %v", err)
	}
	for _, large := range []string{"data: " + strings.Repeat("x", 101) + "\n\n",
		strings.Repeat("data: xxxxxxxxxx\n", 11) + "\n"} {
		if _, _, err := NewEventReader(strings.NewReader(large), 100).Next(); !errors.As(err, new(*TooLargeError)) {
			t.Errorf("over the limit: %v", err)
		}
	}
}

// Each of the three line ends is one, wherever a read ends.
func TestLineEndsOfEvents(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		stream := strings.ReplaceAll("data: 1\ndata: 2\n\nevent: a\ndata: "+strings.Repeat("x", 200)+
			"\n\ndata: 3\n\n", "\n", end)
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(stream),
			"in bytes": iotest.OneByteReader(strings.NewReader(stream))} {
			r := NewEventReader(in, 100)
			_, first, err := r.Next()
			got := string(first)
			_, _, large := r.Next()
			_, last, err2 := r.Next()
			if err != nil || err2 != nil || got != "1\n2" || !errors.As(large, new(*TooLargeError)) || string(last) != "3" {
				t.Errorf("%q %s: %q, %v; %v; %q, %v", end, name, got, err, large, last, err2)
			}
		}
	}
}

// fakeSSE answers GET with stream and POST with post.
func fakeSSE(t *testing.T, stream string, post http.HandlerFunc) string {
	t.Helper()
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			post(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, stream)
		http.NewResponseController(w).Flush()
		select {
		case <-done:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(done); srv.Close() })
	return srv.URL
}

func TestSSEClientConnectFails(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	status := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		http.Error(w, "come back later", http.StatusServiceUnavailable)
	}))
	defer status.Close()
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<html>")
	}))
	defer html.Close()
	away := httptest.NewServer(http.RedirectHandler("http://example.invalid/sse", http.StatusFound))
	defer away.Close()
	for _, c := range []struct{ name, url, want string }{
		{"nobody listens", gone.URL, "refused"},
		{"status", status.URL, "503 Service Unavailable: come back later"},
		{"no stream", html.URL, "not an event stream"},
		{"redirect", away.URL, "another origin"},
		{"no endpoint", fakeSSE(t, ": hello\n\n", nil), "no endpoint within"},
		{"another event first", fakeSSE(t, "data: {}\n\n", nil), "not the endpoint"},
		{"another origin", fakeSSE(t, "event: endpoint\ndata: http://example.invalid/messages/?session_id=1\n\n", nil),
			"another origin"},
		{"another scheme", fakeSSE(t, "event: endpoint\ndata: //example.invalid/x\n\n", nil), "another origin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := sseClient(t, SSEClientOptions{URL: c.url + "/sse?secret=s", ConnectTimeout: time.Second})
			_, err := dialErr(t, client, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v", err)
			}
			if he := (*HTTPError)(nil); c.name == "status" && (!errors.As(err, &he) || he.RetryAfter != 7*time.Second ||
				he.Status != 503) {
				t.Errorf("error %#v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sseClient(t, SSEClientOptions{URL: gone.URL}).Connect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("connect with a cancelled context: %v", err)
	}
}

func TestSSEClientPostErrors(t *testing.T) {
	const endpoint = "event: endpoint\ndata: /m?session_id=secret\n\n"
	for _, c := range []struct {
		name           string
		status         int
		unsent, refuse bool // the error says not sent; the answer counts as a refusal
		ends           bool
	}{
		{"accepted", 202, false, false, false},
		{"ok", 200, false, false, false},
		{"bad request", 400, true, true, false},
		{"unauthorized", 401, true, true, false},
		{"session gone", 404, true, true, true},
		{"too large", 413, true, true, false},
		{"too many", 429, true, true, false},
		{"unavailable", 503, true, true, false},
		{"server error", 500, false, false, false},
		{"bad gateway", 502, false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := fakeSSE(t, endpoint, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(c.status)
				io.WriteString(w, "because")
			})
			client := sseClient(t, SSEClientOptions{URL: url})
			if _, err := client.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, trace := WithTrace(t.Context())
			err := client.Write(ctx, request(t, "1", "tools/call"))
			if (err == nil) != (c.status < 300) {
				t.Fatalf("Write: %v", err)
			}
			if errors.As(err, new(*NotSentError)) != c.unsent {
				t.Errorf("Write: %v", err)
			}
			if !trace.Sent() {
				t.Error("not traced as sent")
			}
			if err != nil {
				he := (*HTTPError)(nil)
				if !errors.As(err, &he) || he.Status != c.status || he.RetryAfter != 3*time.Second ||
					he.Body != "because" || he.Refused() != c.refuse || he != trace.HTTPError() {
					t.Errorf("Write: %#v, traced %v", he, trace.HTTPError())
				}
				if !errors.Is(err, errRejected) || strings.Contains(err.Error(), "secret") {
					t.Errorf("Write: %v", err)
				}
			}
			if !c.ends {
				if err := client.Err(); err != nil {
					t.Errorf("the connection ended: %v", err)
				}
				return
			}
			receive(t, client.Done(), "the end")
			// Calls in flight end with this error too, and were not refused.
			if _, err := client.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "404") ||
				errors.As(err, new(*HTTPError)) || errors.As(err, new(*NotSentError)) {
				t.Errorf("Read: %v", err)
			}
		})
	}
}

func TestSSEClientPostLost(t *testing.T) {
	hijack := func(w http.ResponseWriter) net.Conn {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		return conn
	}
	url := fakeSSE(t, "event: endpoint\ndata: /m\n\n", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		hijack(w).Close()
	})
	client := sseClient(t, SSEClientOptions{URL: url, MaxBody: 100})
	if _, err := client.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, trace := WithTrace(t.Context())
	if err := client.Write(ctx, request(t, "1", "a")); err == nil || errors.As(err, new(*NotSentError)) ||
		!errors.Is(err, errRejected) || !trace.Sent() {
		t.Errorf("a connection that broke after the request: %v, sent %v", err, trace.Sent())
	}
	ctx, trace = WithTrace(t.Context())
	if err := client.Write(ctx, request(t, "1", strings.Repeat("a", 100))); !errors.As(err, new(*TooLargeError)) ||
		!errors.As(err, new(*NotSentError)) || trace.Sent() {
		t.Errorf("a message over the limit: %v, sent %v", err, trace.Sent())
	}
	client.template.URL.Host = "127.0.0.1:1" // nobody listens there
	ctx, trace = WithTrace(t.Context())
	if err := client.Write(ctx, request(t, "1", "a")); !errors.As(err, new(*NotSentError)) || trace.Sent() ||
		trace.HTTPError() != nil {
		t.Errorf("a refused connection: %v, sent %v", err, trace.Sent())
	}
	if err := client.Err(); err != nil {
		t.Errorf("the connection ended: %v", err)
	}
	client.Close()
	if err := client.Write(t.Context(), request(t, "1", "a")); !errors.As(err, new(*NotSentError)) ||
		!errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestSSEClientTimeouts(t *testing.T) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	defer close(release)
	url := fakeSSE(t, "event: endpoint\ndata: /m\n\n", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	testkit.Longer(t, "a POST is sent in time", 100*time.Millisecond, func(d time.Duration) bool {
		client := sseClient(t, SSEClientOptions{URL: url, PostTimeout: d})
		if _, err := client.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := client.Write(t.Context(), request(t, "1", "a"))
		if errors.As(err, new(*NotSentError)) {
			return false
		}
		if err == nil || !strings.Contains(err.Error(), "no receipt within "+d.String()) {
			t.Errorf("no receipt: %v", err)
		}
		receive(t, arrived, "the POST")
		return true
	})
	client := sseClient(t, SSEClientOptions{URL: url})
	if _, err := client.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() { failed <- client.Write(t.Context(), request(t, "1", "a")) }()
	receive(t, arrived, "the POST")
	client.Close()
	if err := receive(t, failed, "Close to unblock Write"); !errors.Is(err, ErrClosed) ||
		errors.As(err, new(*NotSentError)) {
		t.Errorf("closed during a POST: %v", err)
	}
}

func TestSSEClientStream(t *testing.T) {
	good := "event: message\r\ndata: " + `{"jsonrpc":"2.0",` + "\r\ndata: " + `"method":"m"}` + "\r\n\r\n"
	url := fakeSSE(t, "event: endpoint\ndata: /m\n\n: ping\n\nevent: other\ndata: x\n\ndata: garbage\n\n"+good+"data: "+
		strings.Repeat("x", 1000)+"\n\n"+strings.Repeat("data: no\n\n", 3000)+
		`data: {"result":"`+strings.Repeat("x", 1000)+`",`+"\ndata: "+`"jsonrpc":"2.0","id":7}`+"\n\n"+good, nil)
	client := sseClient(t, SSEClientOptions{URL: url, MaxFrame: 500})
	if _, err := client.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m, err := client.Read(t.Context()); err != nil || m.(*jsonrpc.Request).Method != "m" {
		t.Errorf("Read: %v, %v", m, err)
	}
	if m, err := client.Read(t.Context()); err != nil || !strings.Contains(m.(*jsonrpc.Response).Error.Error(),
		"more than 500 bytes, the limit") || m.(*jsonrpc.Response).ID.Raw() != int64(7) {
		t.Errorf("Read: %v, %v", m, err)
	}
	if m, err := client.Read(t.Context()); err != nil || m.(*jsonrpc.Request).Method != "m" {
		t.Errorf("Read: %v, %v", m, err)
	}
	garbage := sseClient(t, SSEClientOptions{URL: fakeSSE(t, "event: endpoint\ndata: /m\n\n"+
		strings.Repeat("data: "+strings.Repeat("no", 500)+"\n\n", maxJunk/1000), nil)})
	if _, err := garbage.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := garbage.Read(t.Context()); !errors.Is(err, ErrGarbage) {
		t.Errorf("Read: %v", err)
	}
}
