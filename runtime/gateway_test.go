package runtime_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// guarded is a system whose gateway two people may use.
func guarded(t *testing.T) *system {
	t.Helper()
	cfg := pair(project.OverLocal)
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0", Token: "token-of-the-user",
		Tokens: map[string]string{"ann": "token-of-ann-alone"},
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

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
	`"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

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
		status, anonymous := ask(t, http.MethodGet, url+path, "", nil)
		if status != http.StatusOK || strings.Contains(anonymous, "near") {
			t.Errorf("%s shows an anonymous client: %d %s", path, status, anonymous)
		}
		if status, known := ask(t, http.MethodGet, url+path, "",
			map[string]string{"Authorization": "Bearer token-of-ann-alone"}); status != http.StatusOK ||
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
	stream, err := (&http.Client{Transport: bearer("token-of-ann-alone")}).Do(req)
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
		"token-of-ann-alone": http.StatusAccepted} {
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
				map[string]string{"Authorization": "Bearer token-of-ann-alone",
					"Mcp-Session-Id": sid}); status != http.StatusForbidden {
				t.Errorf("ann in the user's session: %d %s", status, text)
			}
		}
		if err := cs.Close(); err != nil {
			t.Error(err)
		}
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

// What the gateway does not offer, the runtime's own tools do not tell its clients either.
func TestStatusAndListHideWhatIsNotExposed(t *testing.T) {
	t.Parallel()
	cfg := pair(project.OverLocal)
	cfg.Agents["third"] = project.Agent{Type: "probe", Config: map[string]any{"peer": "far", "prefix": "third "}}
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0", Expose: []string{"near.say", "third"}}
	s := start(t, cfg, nil)
	for range 2 {
		if _, err := agent.Ask[note](s.ctx, "near.say", note{Text: "hi"}); err != nil {
			t.Fatal(err)
		}
		_, _ = agent.Ask[note](s.ctx, "near.fail", note{Text: "hi"}) // it counts as well
	}
	c := s.session(t, "/mcp")
	for _, tool := range []string{"openmas_status", "openmas_list"} {
		res, err := c.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: tool})
		if err != nil {
			t.Fatal(err)
		}
		var seen struct {
			Agents []struct {
				Name  string            `json:"name"`
				Tools []json.RawMessage `json:"tools"`
			} `json:"agents"`
		}
		text := res.Text()
		if err := json.Unmarshal([]byte(text), &seen); err != nil {
			t.Fatal(err)
		}
		tools := map[string]int{}
		for _, a := range seen.Agents {
			tools[a.Name] = len(a.Tools)
		}
		if len(tools) < 2 || tools["near"] != 1 || tools["third"] < 2 {
			t.Errorf("%s: %v", tool, tools)
		}
		if strings.Contains(text, `"far"`) || strings.Contains(text, "far/") {
			t.Errorf("%s tells of far: %.2000s", tool, text)
		}
	}
	// who runs it, and its agents, see all
	if l := s.Listing(); len(l.Agents) < 4 {
		t.Errorf("%d agents", len(l.Agents))
	}
	out, err := agent.Ask[runtime.Listing](s.ctx, "openmas.list", nil)
	if err != nil || len(out.Agents) == 0 {
		t.Error(out, err)
	}
}
