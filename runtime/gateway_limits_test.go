package runtime_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/project"
)

// session is a client of the gateway that must work.
func (s *system) session(t *testing.T, path string) *client.Session {
	t.Helper()
	session, err := s.open(t, path)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// open is a client of the gateway, which ends with the test.
func (s *system) open(t *testing.T, path string) (*client.Session, error) {
	t.Helper()
	transport := mcp.Streamable
	if strings.HasSuffix(path, "/sse") {
		transport = mcp.SSE
	}
	session, err := client.Connect(t.Context(),
		client.Target{Name: "gateway", Transport: transport, URL: s.Status().URL + path},
		client.Options{PingInterval: -1})
	if err == nil {
		t.Cleanup(func() { _ = session.Close(context.Background()) })
	}
	return session, err
}

func say(t *testing.T, s *client.Session) error {
	t.Helper()
	_, err := s.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "far_say", Input: []byte(`{"text":"x"}`)})
	return err
}

// TestLimitsOfTheProjectFile: over each limit there is a clear refusal, and the other session does
// not notice.
func TestLimitsOfTheProjectFile(t *testing.T) {
	t.Parallel()
	limited := func(t *testing.T, m project.MCP) (*system, *client.Session) {
		cfg := pair(project.OverSSE) // whose own sessions the limits of the gateway must not touch
		cfg.Gateway, cfg.MCP = &project.Gateway{Listen: "127.0.0.1:0"}, m
		s := start(t, cfg, nil)
		return s, s.session(t, "/sse")
	}
	fine := func(t *testing.T, s *client.Session) {
		t.Helper()
		if err := say(t, s); err != nil {
			t.Errorf("the other session: %v", err)
		}
	}
	for _, path := range []string{"/sse", "/mcp"} {
		t.Run("max_sessions "+path, func(t *testing.T) {
			s, other := limited(t, project.MCP{MaxSessions: 2})
			s.session(t, path)
			_, err := client.Connect(t.Context(),
				client.Target{Name: "third",
					Transport: map[string]mcp.Transport{"/sse": mcp.SSE, "/mcp": mcp.Streamable}[path],
					URL:       s.Status().URL + path}, client.Options{})
			if agent.CodeOf(err) != agent.CodeUnavailable || !strings.Contains(fmt.Sprint(err), "503") {
				t.Errorf("the third session: %v", err)
			}
			fine(t, other)
		})
		for key, m := range map[string]project.MCP{"max_session_calls": {MaxSessionCalls: 1},
			"max_calls": {MaxCalls: 1}} {
			t.Run(key+" "+path, func(t *testing.T) {
				s, other := limited(t, m)
				busy := s.session(t, path)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					_, err := busy.Call(ctx,
						&agent.Call{Op: agent.OpTool, Name: "far_slow", Input: []byte(`{"n":60000}`)})
					done <- err
				}()
				testkit.Eventually(t, "a call runs", func() bool {
					return s.agentStatus("far").Instances[0].InFlight == 1
				})
				if err := say(t, busy); agent.CodeOf(err) != agent.CodeResourceExhausted &&
					!strings.Contains(fmt.Sprint(err), "the limit") {
					t.Errorf("the second call: %v", err)
				}
				if key == "max_session_calls" {
					fine(t, other)
				}
				cancel()
				if err := <-done; agent.CodeOf(err) != agent.CodeCanceled {
					t.Error(err)
				}
				testkit.Eventually(t, "there is room again", func() bool { return say(t, busy) == nil })
				fine(t, other)
			})
		}
		t.Run("max_body "+path, func(t *testing.T) {
			s, other := limited(t, project.MCP{MaxBody: 64 * project.KiB})
			big := s.session(t, path)
			_, err := big.Call(t.Context(),
				&agent.Call{Op: agent.OpTool, Name: "far_say",
					Input: []byte(`{"text":"` + strings.Repeat("x", 100<<10) + `"}`)})
			if agent.CodeOf(err) != agent.CodeResourceExhausted {
				t.Errorf("a large call: %v", err)
			}
			fine(t, big)
			fine(t, other)
		})
	}
	for _, size := range []project.Size{0, project.MiB} {
		t.Run(fmt.Sprintf("resume %v", size), func(t *testing.T) {
			s, other := limited(t, project.MCP{Resume: size})
			if status, body := ask(t, http.MethodPost, s.Status().URL+"/mcp", initialize,
				nil); status != http.StatusOK || strings.Contains(body, "\nid: ") != (size > 0) {
				t.Errorf("%d %s", status, body)
			}
			fine(t, other)
			fine(t, s.session(t, "/mcp"))
		})
	}
	t.Run("session_idle", func(t *testing.T) {
		s, other := limited(t, project.MCP{MaxSessions: 2, SessionIdle: time.Nanosecond})
		for range 2 { // neither comes back, and the second takes the place of the first
			if status, body := ask(t, http.MethodPost, s.Status().URL+"/mcp", initialize,
				nil); status != http.StatusOK {
				t.Fatal(status, body)
			}
		}
		if log := s.log.String(); !strings.Contains(log, "idle, and 2 sessions are open") {
			t.Error(log)
		}
		fine(t, other)
	})
	t.Run("session_lifetime", func(t *testing.T) {
		// A handshake may take longer than a short lifetime, which is not what this is about.
		testkit.Longer(t, "a session works in its lifetime", 100*time.Millisecond, func(d time.Duration) bool {
			cfg := pair(project.OverSSE)
			cfg.Gateway, cfg.MCP = &project.Gateway{Listen: "127.0.0.1:0"}, project.MCP{SessionLifetime: d}
			s := start(t, cfg, nil)
			first, err := s.open(t, "/sse")
			if err != nil {
				return false
			}
			select {
			case <-first.Done():
			case <-time.After(d + hang):
				t.Fatal("the session outlives its lifetime")
			}
			if !strings.Contains(s.log.String(), "lifetime") {
				t.Error("the log does not say why the session ended")
			}
			next, err := s.open(t, "/sse")
			return err == nil && say(t, next) == nil
		})
	})
	t.Run("comment_interval", func(t *testing.T) {
		s, _ := limited(t, project.MCP{CommentInterval: 5 * time.Millisecond})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Status().URL+"/sse", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := httpClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		for lines := bufio.NewScanner(res.Body); ; {
			if !lines.Scan() {
				t.Fatal("the stream ended")
			}
			if strings.HasPrefix(lines.Text(), ": ping") {
				return
			}
		}
	})
	for key, limits := range map[string]func(d time.Duration) project.MCP{
		"header_timeout": func(d time.Duration) project.MCP { return project.MCP{HeaderTimeout: d} },
		"read_timeout":   func(d time.Duration) project.MCP { return project.MCP{ReadTimeout: d} },
	} {
		t.Run(key, func(t *testing.T) {
			// On a busy machine, a request that is finished may take as long.
			testkit.Longer(t, "the other session works", 50*time.Millisecond, func(d time.Duration) bool {
				cfg := pair(project.OverSSE)
				cfg.Gateway, cfg.MCP = &project.Gateway{Listen: "127.0.0.1:0"}, limits(d)
				s := start(t, cfg, nil)
				other, err := s.open(t, "/sse")
				if err != nil {
					return false
				}
				half := "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"
				if key == "read_timeout" {
					half += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
				}
				if !refusesToWait(t, s.Status().URL, half) {
					t.Error("a request that is never finished is waited for")
				}
				return say(t, other) == nil
			})
		})
	}
}

// refusesToWait sends a part of a request, and reports whether the server closes the connection.
func refusesToWait(t *testing.T, url, half string) bool {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(hang)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Write([]byte(half)) // it may have been closed by now
	for b := make([]byte, 512); err == nil; {
		_, err = conn.Read(b)
	}
	ne, ok := err.(net.Error)
	return !ok || !ne.Timeout()
}
