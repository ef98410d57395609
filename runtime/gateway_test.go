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

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/project"
)

// guarded is a system whose gateway two people may use.
func guarded(t *testing.T) *system {
	t.Helper()
	cfg := pair(project.OverLocal)
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0", Token: "token-of-the-user",
		Tokens: map[string]string{"ann": "token-of-ann"},
		Hosts:  []string{"agents.example.org"}, Origins: []string{"https://app.example.org"}}
	return start(t, cfg, nil)
}

// ask sends a request and returns its status and body; of a stream only the status.
func ask(t *testing.T, method, url, body string, header map[string]string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	for k, v := range header {
		if r.Header.Set(k, v); k == "Host" {
			r.Host = v
		}
	}
	res, err := httpClient(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") && method == http.MethodGet {
		return res.StatusCode, ""
	}
	b := new(strings.Builder)
	if _, err := bufio.NewReader(res.Body).WriteTo(b); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b.String()
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

func TestEveryEndpointWantsTheToken(t *testing.T) {
	url := guarded(t).Status().URL
	for _, path := range []string{"/sse", "/messages/?session_id=1", "/mcp", "/agents/near/sse",
		"/agents/near/messages/?session_id=1", "/agents/near/mcp"} {
		for name, tc := range map[string]struct {
			auth string
			want func(int) bool
		}{
			"none":      {"", func(s int) bool { return s == http.StatusUnauthorized }},
			"wrong":     {"Bearer token-of-nobody", func(s int) bool { return s == http.StatusUnauthorized }},
			"no bearer": {"Basic token-of-the-user", func(s int) bool { return s == http.StatusUnauthorized }},
			"right": {"bearer token-of-the-user", func(s int) bool {
				return s != http.StatusUnauthorized && s != http.StatusForbidden
			}},
		} {
			method, body := http.MethodPost, initialize
			if strings.HasSuffix(path, "/sse") {
				method, body = http.MethodGet, ""
			}
			header := map[string]string{}
			if tc.auth != "" {
				header["Authorization"] = tc.auth
			}
			if status, text := ask(t, method, url+path, body, header); !tc.want(status) {
				t.Errorf("%s with %s token: %d %s", path, name, status, text)
			}
		}
	}
	for path, agents := range map[string]bool{"/": true, "/livez": false, "/readyz": false} {
		status, stranger := ask(t, http.MethodGet, url+path, "", nil)
		if status != http.StatusOK || strings.Contains(stranger, "near") {
			t.Errorf("%s tells a stranger: %d %s", path, status, stranger)
		}
		if status, known := ask(t, http.MethodGet, url+path, "",
			map[string]string{"Authorization": "Bearer token-of-ann"}); status != http.StatusOK ||
			strings.Contains(known, "near") != agents {
			t.Errorf("%s tells ann: %d %s", path, status, known)
		}
	}
}

func TestHostsAndOriginsOfTheProjectFile(t *testing.T) {
	url := guarded(t).Status().URL
	for name, want := range map[string]int{"localhost": 200, "agents.example.org": 200, "evil.example.org": 403} {
		if status, text := ask(t, http.MethodGet, url+"/", "", map[string]string{"Host": name}); status != want {
			t.Errorf("for host %s: %d %s", name, status, text)
		}
	}
	for origin, want := range map[string]int{"https://app.example.org": 401, "https://evil.example.org": 403} {
		if status, text := ask(t, http.MethodPost, url+"/messages/?session_id=1", "{}",
			map[string]string{"Origin": origin}); status != want {
			t.Errorf("from origin %s: %d %s", origin, status, text)
		}
	}
}

// bearer adds a token to requests.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func TestASessionBelongsToWhoOpenedIt(t *testing.T) {
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	url := guarded(t).Status().URL
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := (&http.Client{Transport: bearer("token-of-ann")}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	endpoint := ""
	for endpoint == "" && lines.Scan() {
		endpoint, _ = strings.CutPrefix(lines.Text(), "data: ")
		if !strings.HasPrefix(endpoint, "/") {
			endpoint = ""
		}
	}
	for token, want := range map[string]int{"token-of-the-user": http.StatusForbidden, "": http.StatusUnauthorized,
		"token-of-ann": http.StatusAccepted} {
		header := map[string]string{"Authorization": "Bearer " + token}
		if status, text := ask(t, http.MethodPost, url+endpoint, initialize, header); status != want {
			t.Errorf("POST to ann's session with %q: %d %s", token, status, text)
		}
	}
	for path, id := range map[string]string{"/mcp": "user", "/sse": "user"} {
		var tr sdk.Transport = &sdk.StreamableClientTransport{Endpoint: url + path,
			HTTPClient: &http.Client{Transport: bearer("token-of-the-user")}}
		if path == "/sse" {
			tr = &sdk.SSEClientTransport{Endpoint: url + path,
				HTTPClient: &http.Client{Transport: bearer("token-of-the-user")}}
		}
		cs, err := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"}, nil).Connect(t.Context(), tr,
			&sdk.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
		if err != nil {
			t.Fatal(err)
		}
		res, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "far_who", Arguments: map[string]any{}})
		if err != nil || res.Content[0].(*sdk.TextContent).Text != id+" at depth 1" &&
			!strings.HasPrefix(res.Content[0].(*sdk.TextContent).Text, id) {
			t.Errorf("the tool sees %v, %v", res, err)
		}
		if sid := cs.ID(); path == "/mcp" {
			if status, text := ask(t, http.MethodPost, url+path, `{"jsonrpc":"2.0","id":2,"method":"ping"}`,
				map[string]string{"Authorization": "Bearer token-of-ann",
					"Mcp-Session-Id": sid}); status != http.StatusForbidden {
				t.Errorf("ann in the user's session: %d %s", status, text)
			}
		}
		if err := cs.Close(); err != nil {
			t.Error(err)
		}
	}
}

// session is a client of the gateway that must work.
func (s *system) session(t *testing.T, path string) *client.Session {
	t.Helper()
	transport := mcp.Streamable
	if strings.HasSuffix(path, "/sse") {
		transport = mcp.SSE
	}
	session, err := client.Connect(t.Context(),
		client.Target{Name: "gateway", Transport: transport, URL: s.Status().URL + path},
		client.Options{PingInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close(context.Background()) })
	return session
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
		s, other := limited(t, project.MCP{SessionIdle: 50 * time.Millisecond})
		status, _ := ask(t, http.MethodPost, s.Status().URL+"/mcp", initialize, nil) // and never comes back
		if status != http.StatusOK {
			t.Fatal(status)
		}
		testkit.Eventually(t, "the idle session ends", func() bool {
			return strings.Contains(s.log.String(), "reason=idle")
		})
		fine(t, other)
	})
	t.Run("session_lifetime", func(t *testing.T) {
		s, other := limited(t, project.MCP{SessionLifetime: 100 * time.Millisecond})
		select {
		case <-other.Done():
		case <-time.After(hang):
			t.Fatal("the session outlives its lifetime")
		}
		fine(t, s.session(t, "/sse"))
		if !strings.Contains(s.log.String(), "lifetime") {
			t.Error("the log does not say why the session ended")
		}
	})
	t.Run("ping", func(t *testing.T) {
		s, _ := limited(t, project.MCP{KeepAlive: 5 * time.Millisecond})
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
	for key, m := range map[string]project.MCP{"header_timeout": {HeaderTimeout: 50 * time.Millisecond},
		"read_timeout": {ReadTimeout: 50 * time.Millisecond}} {
		t.Run(key, func(t *testing.T) {
			s, other := limited(t, m)
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Status().URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			half := "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n"
			if key == "read_timeout" {
				half += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
			}
			if _, err := conn.Write([]byte(half)); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(hang)); err != nil {
				t.Fatal(err)
			}
			for b := make([]byte, 512); err == nil; {
				_, err = conn.Read(b)
			}
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("a request that is never finished is waited for")
			}
			fine(t, other)
		})
	}
}

func TestAListenerBeyondLoopbackRefusesToStart(t *testing.T) {
	for listen, refused := range map[string]bool{"0.0.0.0:0": true, ":0": true, "[::]:0": true, "192.0.2.1:80": true,
		"agents.example.org:80": true,
		"127.0.0.1:0":           false, "127.9.9.9:0": false, "localhost:0": false, "[::1]:0": false} {
		cfg := pair(project.OverLocal)
		cfg.Gateway = &project.Gateway{Listen: listen}
		err := cfg.Validate()
		if got := err != nil && strings.Contains(err.Error(), "need a token"); got != refused {
			t.Errorf("%s: %v", listen, err)
		}
		cfg.Gateway.Token = "token-of-the-user"
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s with a token: %v", listen, err)
		}
	}
}
