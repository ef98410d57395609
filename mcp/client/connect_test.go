package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
)

func TestConnectLaunched(t *testing.T) {
	for _, transport := range []mcp.Transport{mcp.Stdio, mcp.SSE, mcp.Streamable} {
		t.Run(string(transport), func(t *testing.T) {
			name := string(transport)
			if transport == mcp.Stdio {
				name = "server"
			}
			s := mustConnect(t, role(t, name, transport), Options{})
			if s.Pid() == 0 || s.Pid() == os.Getpid() {
				t.Errorf("pid %d", s.Pid())
			}
			if got := mustCall(t, s, "echo", map[string]int{"n": 1}, nil).Text(); got != `{"n":1}` {
				t.Errorf("got %s", got)
			}
			// The program ends in the middle of a call.
			_, err := call(t.Context(), s, "die", nil, nil)
			fixture.WantError(t, err, agent.CodeOutcomeUnknown, false)
			if !strings.Contains(err.Error(), "there was no answer: the session ended: ") ||
				!strings.Contains(err.Error(), "exited with code 3") || errors.Is(err, communicator.ErrEnded) ||
				!strings.Contains(strings.Join(LastLines(err), "\n"), "badly wrong") {
				t.Errorf("the call: %v; last lines: %q", err, LastLines(err))
			}
			await(t, s.Done(), "Done")
			if err := s.Err(); !strings.Contains(err.Error(), "exited with code 3") ||
				strings.Contains(err.Error(), "badly wrong") ||
				!strings.Contains(strings.Join(LastLines(err), "\n"), "badly wrong") {
				t.Errorf("why it ended: %v; last lines: %q", err, LastLines(err))
			}
			_, err = call(t.Context(), s, "echo", nil, nil)
			fixture.WantError(t, err, agent.CodeUnavailable, true)
			if !errors.Is(err, communicator.ErrEnded) {
				t.Errorf("%v is not marked", err)
			}
		})
	}
}

func TestConnectHello(t *testing.T) {
	target := role(t, "hello", mcp.Stdio)
	target.Hello = []byte("hello-child")
	s := mustConnect(t, target, Options{})
	if _, ok := s.Info().Tool("hello-child"); !ok {
		t.Errorf("the child did not get the hello line: %+v", s.Info().Tools)
	}
}

func TestConnectChatty(t *testing.T) {
	s := mustConnect(t, role(t, "chatty", mcp.Stdio), Options{})
	mustCall(t, s, "echo", nil, nil)
}

func TestConnectStderr(t *testing.T) {
	lines := make(chan string, 10)
	target := role(t, "exits", mcp.Stdio)
	target.Stderr = func(line []byte) { lines <- string(line) }
	if _, err := Connect(t.Context(), target, Options{Logger: fixture.Quiet}); err == nil {
		t.Fatal("connected")
	}
	if l := await(t, lines, "stderr"); !strings.HasPrefix(l, "Traceback") {
		t.Errorf("the first line is %q", l)
	}
}

// TestConnectFails: each way to fail has an error of its own.
func TestConnectFails(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/html", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Welcome!</html>")
	})
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "who are you? "+strings.Repeat("go away ", 100), http.StatusUnauthorized)
	})
	mux.HandleFunc("/closed", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "closed on\nsundays", http.StatusForbidden)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no database", http.StatusInternalServerError)
	})
	mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		http.Error(w, "later", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/silent", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is noticed
		<-r.Context().Done()
	})
	web := httptest.NewServer(mux)
	defer web.Close()

	short := 300 * time.Millisecond
	url := func(tr mcp.Transport, u string) Target {
		return Target{Name: "there", Transport: tr, URL: u + "?token=secret",
			Headers: map[string]string{"Authorization": "secret"}}
	}
	for name, tc := range map[string]struct {
		target Target
		wait   time.Duration
		reason Reason
		code   agent.Code
		says   string
	}{
		"sse refused": {url(mcp.SSE, nobody+"/sse"), 0, ReasonRefused, agent.CodeUnavailable, nobody + "/sse"},
		"http refused": {url(mcp.Streamable, nobody+"/mcp"), 0, ReasonRefused, agent.CodeUnavailable,
			nobody + "/mcp"},
		"sse html": {url(mcp.SSE, web.URL+"/html"), 0, ReasonNotMCP, agent.CodeUnimplemented, "text/html"},
		"http html": {url(mcp.Streamable, web.URL+"/html"), 0, ReasonNotMCP, agent.CodeUnimplemented,
			"text/html"},
		"sse wrong path":  {url(mcp.SSE, web.URL+"/nowhere"), 0, ReasonStatus, agent.CodeNotFound, "404"},
		"http wrong path": {url(mcp.Streamable, web.URL+"/nowhere"), 0, ReasonStatus, agent.CodeNotFound, "404"},
		"sse login": {url(mcp.SSE, web.URL+"/login"), 0, ReasonStatus, agent.CodeUnauthenticated,
			"401 Unauthorized: who are you? go away"},
		"http login": {url(mcp.Streamable, web.URL+"/login"), 0, ReasonStatus, agent.CodeUnauthenticated,
			"401 Unauthorized: who are you? go away"},
		"sse challenge": {url(mcp.SSE, web.URL+"/login"), 0, ReasonStatus, agent.CodeUnauthenticated,
			`… (WWW-Authenticate: Bearer error="invalid_token")`},
		"http challenge": {url(mcp.Streamable, web.URL+"/login"), 0, ReasonStatus, agent.CodeUnauthenticated,
			`… (WWW-Authenticate: Bearer error="invalid_token")`},
		"sse closed": {url(mcp.SSE, web.URL+"/closed"), 0, ReasonStatus, agent.CodePermissionDenied,
			"closed on sundays"},
		"http closed": {url(mcp.Streamable, web.URL+"/closed"), 0, ReasonStatus, agent.CodePermissionDenied,
			"closed on sundays"},
		"http broken": {url(mcp.Streamable, web.URL+"/broken"), 0, ReasonStatus, agent.CodeUnavailable,
			"500 Internal Server Error: no database"},
		"sse busy":  {url(mcp.SSE, web.URL+"/busy"), 0, ReasonStatus, agent.CodeUnavailable, "503"},
		"http busy": {url(mcp.Streamable, web.URL+"/busy"), 0, ReasonStatus, agent.CodeUnavailable, "503"},
		"sse silent": {url(mcp.SSE, web.URL+"/silent"), short, ReasonTimeout, agent.CodeUnavailable,
			"within 300ms"},
		"http silent": {url(mcp.Streamable, web.URL+"/silent"), short, ReasonTimeout, agent.CodeUnavailable,
			"within 300ms"},
		"no program": {Target{Name: "there", Transport: mcp.Stdio, Command: []string{"no-such-program", "secret"}}, 0,
			ReasonNoProgram, agent.CodeNotFound, "no-such-program"},
		"exits": {role(t, "exits", mcp.Stdio), 0, ReasonExited, agent.CodeUnavailable,
			"No module named 'mcp'"},
		"sse exits":      {role(t, "exits", mcp.SSE), 0, ReasonExited, agent.CodeUnavailable, "No module named 'mcp'"},
		"program silent": {role(t, "silent", mcp.Stdio), short, ReasonTimeout, agent.CodeUnavailable, "thinking"},
		"never ready":    {role(t, "server", mcp.SSE), 0, ReasonExited, agent.CodeUnavailable, "exited with code"},
		"garbage": {role(t, "garbage", mcp.Stdio), 0, ReasonNotMCP, agent.CodeUnimplemented,
			"this is no protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.target.Hello == nil && tc.target.Env != nil {
				tc.target.Env["SECRET"] = "secret"
			}
			s, err := Connect(t.Context(), tc.target, Options{Logger: fixture.Quiet, HandshakeTimeout: tc.wait})
			if err == nil {
				_ = s.Close(t.Context())
				t.Fatal("connected")
			}
			e := fixture.WantError(t, err, tc.code, true)
			var ce *ConnectError
			if !errors.As(err, &ce) || ce.Reason != tc.reason {
				t.Errorf("%+v, want reason %q", ce, tc.reason)
			}
			if !strings.Contains(err.Error()+strings.Join(LastLines(err), "\n"), tc.says) ||
				!strings.Contains(err.Error(), tc.target.Name) {
				t.Errorf("%q does not say %q", err, tc.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q tells a secret", err)
			}
			if tc.says == "503" && e.RetryAfter != 7*time.Second {
				t.Errorf("retry after %v", e.RetryAfter)
			}
		})
	}
}

// TestConnectGivenUp: the caller's context ends the handshake at once.
func TestConnectGivenUp(t *testing.T) {
	for name, target := range map[string]Target{"stdio": role(t, "silent", mcp.Stdio),
		"launched": role(t, "silent", mcp.SSE)} {
		t.Run(name, func(t *testing.T) {
			lines := make(chan string, 1)
			target.Stderr = func(line []byte) { lines <- string(line) }
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan error, 1)
			go func() {
				_, err := Connect(ctx, target, Options{Logger: fixture.Quiet, HandshakeTimeout: time.Hour})
				errs <- err
			}()
			if name == "stdio" {
				await(t, lines, "the program")
			}
			cancel()
			err := await(t, errs, "Connect")
			fixture.WantError(t, err, agent.CodeCanceled, true)
		})
	}
}

// TestConnectStreamThatComesLate: what a server says is heard however long the headers of the
// optional stream take; some send them with its first event.
func TestConnectStreamThatComesLate(t *testing.T) {
	f := fixture.NewForeign()
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil)
	release := make(chan struct{})
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			<-release
			if asked++; asked == 1 {
				http.Error(w, "try again", http.StatusBadGateway)
				return
			}
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { f.HangUp(srv) })
	changed := make(chan agent.Info, 10)
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL},
		Options{OnChanged: func(i agent.Info) { changed <- i }})
	mustCall(t, s, "echo", nil, nil)
	close(release)
	mustCall(t, s, "echo", nil, nil)
	n := 0
	testkit.Eventually(t, "the notification", func() bool { // a change before the stream is open is told to nobody
		if n++; n%20 == 0 {
			f.AddTool(&sdk.Tool{Name: fmt.Sprint("late", n), InputSchema: map[string]any{"type": "object"}}, nil)
		}
		return len(changed) > 0
	})
}

// TestConnectStreamThatHangs: a server that never answers the GET of the optional stream is used
// without it.
func TestConnectStreamThatHangs(t *testing.T) {
	f := fixture.NewForeign()
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			<-r.Context().Done()
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { f.HangUp(srv) })
	s := mustConnect(t, Target{Transport: mcp.Streamable, URL: srv.URL}, Options{})
	mustCall(t, s, "echo", nil, nil)
}
