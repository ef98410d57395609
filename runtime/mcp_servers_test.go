package runtime_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// elsewhere is an MCP server by URL, with tools that ask their client.
type elsewhere struct {
	*httptest.Server
	mcp      *sdk.Server
	sessions atomic.Int64
	headers  sync.Map // the Authorization headers that came
}

func newElsewhere(t *testing.T, serve func(http.Handler) *httptest.Server) *elsewhere {
	t.Helper()
	e := &elsewhere{mcp: foreign()}
	sdk.AddTool(e.mcp, &sdk.Tool{Name: "think"},
		func(ctx context.Context, r *sdk.CallToolRequest, in note) (*sdk.CallToolResult, any, error) {
			res, err := r.Session.CreateMessage(ctx,
				&sdk.CreateMessageParams{MaxTokens: 10,
					Messages: []*sdk.SamplingMessage{{Role: "user", Content: &sdk.TextContent{Text: in.Text}}}})
			if err != nil {
				return nil, nil, err
			}
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: res.Model + " says " +
				res.Content.(*sdk.TextContent).Text}}}, nil, nil
		})
	sdk.AddTool(e.mcp, &sdk.Tool{Name: "roots"},
		func(ctx context.Context, r *sdk.CallToolRequest, _ note) (*sdk.CallToolResult, any, error) {
			res, err := r.Session.ListRoots(ctx, nil)
			if err != nil {
				return nil, nil, err
			}
			var out []string
			for _, root := range res.Roots {
				out = append(out, root.URI)
			}
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: strings.Join(out, " ")}}}, nil, nil
		})
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { e.sessions.Add(1); return e.mcp }, nil)
	e.Server = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.headers.Store(r.Header.Get("Authorization"), true)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

// thinker is an agent that stands for a model.
type thinker struct{}

func (*thinker) Capabilities() agent.Capabilities {
	last := func(r agent.SampleRequest) string { return r.Messages[len(r.Messages)-1].Content.Text() }
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("sample", "", func(ctx context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
			return agent.SampleResult{Model: "m1", Role: "assistant",
				Content: agent.Blocks{agent.Text(from(ctx) + ": " + last(r))}}, nil
		}),
		agent.NewTool("text", "", func(_ context.Context, r agent.SampleRequest) (string, error) {
			return last(r), nil
		}),
	}}
}

func from(ctx context.Context) string {
	f := agent.CallFrom(ctx).From
	if f.Trusted {
		return f.Agent + ", trusted"
	}
	return f.Agent
}

var thinkers = agent.Types{"thinker": func() agent.Agent { return &thinker{} }}

func TestForeignServersAskForAModel(t *testing.T) {
	far := newElsewhere(t, httptest.NewServer)
	for sampling, want := range map[string]string{"llm.sample": "m1 says docs: why?", "llm.text": "llm.text says why?",
		"": ""} {
		cfg := &project.Config{MCP: project.MCP{Sampling: sampling},
			Agents: map[string]project.Agent{"llm": {Type: "thinker"}, "docs": {URL: far.URL}}}
		s := start(t, cfg, thinkers)
		got, err := agent.Ask[string](s.ctx, "docs.think", note{Text: "why?"})
		if want == "" && (agent.CodeOf(err) != agent.CodeToolFailed || !strings.Contains(err.Error(), `"sample"`)) ||
			want != "" && (err != nil || got != want) {
			t.Errorf("sampling by %q: %q, %v", sampling, got, err)
		}
		// A caller with a model of its own is asked first.
		own := agent.WithBackChannel(s.ctx,
			agent.BackChannelFuncs{Sample: func(context.Context, agent.SampleRequest) (agent.SampleResult, error) {
				return agent.SampleResult{Role: "assistant", Model: "mine",
					Content: agent.Blocks{agent.Text("because")}}, nil
			}})
		if got, err := agent.Ask[string](own, "docs.think", note{Text: "why?"}); err != nil ||
			got != "mine says because" {
			t.Errorf("%q, %v", got, err)
		}
		s.stop()
		_ = s.wait()
	}
}

func TestForeignServersAskForRoots(t *testing.T) {
	far := newElsewhere(t, httptest.NewServer)
	dir := t.TempDir()
	s := start(t, &project.Config{Dir: dir, Agents: map[string]project.Agent{"none": {URL: far.URL},
		"some": {URL: far.URL, Roots: []string{".", "a b"}}}}, nil)
	if _, err := agent.Ask[string](s.ctx, "none.roots", note{}); agent.CodeOf(err) != agent.CodeToolFailed {
		t.Errorf("without roots: %v", err)
	}
	base := filepath.ToSlash(dir)
	if !strings.HasPrefix(base, "/") {
		base = "/" + base
	}
	if got, err := agent.Ask[string](s.ctx, "some.roots", note{}); err != nil || got != "file://"+base+" file://"+base+
		"/a%20b" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAllowToolsNarrowsAServer(t *testing.T) {
	far := newElsewhere(t, httptest.NewServer)
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: far.URL,
		AllowTools: []string{"docs.search", "absent"}, Tools: map[string]project.Policy{"docs.serch": {}}}}}, nil)
	info, _ := s.Directory().Agent("docs")
	if len(info.Tools) != 1 || info.Tools[0].Name != "docs.search" {
		t.Errorf("%+v", info.Tools)
	}
	if got, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil || got != "found x" {
		t.Error(got, err)
	}
	if _, err := agent.Ask[string](s.ctx, "docs.env", note{}); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("a tool that is not allowed: %v", err)
	}
	for _, want := range []string{"key=allow_tools tool=absent", "key=tools tool=docs.serch"} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("nobody says %s:\n%s", want, s.log)
		}
	}
}

func TestSessionsSpreadCallsToAURL(t *testing.T) {
	far := newElsewhere(t, httptest.NewServer)
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: far.URL, Sessions: 3}}}, nil)
	if n := far.sessions.Load(); n < 3 {
		t.Fatalf("%d sessions", n)
	}
	if n := len(s.agentStatus("docs").Instances); n != 3 {
		t.Fatalf("%d instances in the status", n)
	}
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if _, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestTokenAndTLSOfAURL(t *testing.T) {
	far := newElsewhere(t, httptest.NewTLSServer)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: far.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, &project.Config{Dir: dir,
		Agents: map[string]project.Agent{"docs": {URL: far.URL, Token: "sesame",
			TLS: project.TLS{CAFile: "ca.pem"}}}}, nil)
	if got, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil || got != "found x" {
		t.Error(got, err)
	}
	far.headers.Range(func(k, _ any) bool {
		if k != "Bearer sesame" {
			t.Errorf("a request came with Authorization %q", k)
		}
		return true
	})
	for name, c := range map[string]project.TLS{"there is no such file": {CAFile: "absent.pem"},
		"no such file": {CAFile: "absent.pem"}, "holds no certificate": {CAFile: "empty.pem"}} {
		if err := os.WriteFile(filepath.Join(dir, "empty.pem"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := runtime.New(&project.Config{Dir: dir,
			Agents: map[string]project.Agent{"docs": {URL: far.URL, TLS: c}}}, nil, runtime.Options{})
		if err == nil || !strings.Contains(err.Error(), "agents.docs.tls.ca_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOAuthClientCredentials: the server names its authorization server; ours gets a token
// there, once for all that needs one.
func TestOAuthClientCredentials(t *testing.T) {
	granted := atomic.Int64{}
	far := newElsewhere(t, func(h http.Handler) *httptest.Server {
		mux := http.NewServeMux()
		srv := httptest.NewServer(mux)
		reply := func(format string, args ...any) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, format, args...)
			}
		}
		mux.HandleFunc("/.well-known/oauth-protected-resource",
			reply(`{"resource":"%s/mcp","authorization_servers":["%s"]}`, srv.URL, srv.URL))
		mux.HandleFunc("/.well-known/oauth-authorization-server", reply(
			`{"issuer":"%s","authorization_endpoint":"%s/authorize","token_endpoint":"%s/token","response_types_supported":["code"],"code_challenge_methods_supported":["S256"]}`, srv.URL, srv.URL, srv.URL))
		mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
			id, secret, _ := r.BasicAuth()
			if id == "" {
				id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
			}
			if id != "me" || secret != "open" || r.PostFormValue("grant_type") != "client_credentials" {
				http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
				return
			}
			reply(`{"access_token":"granted-%d","token_type":"Bearer","expires_in":3600}`, granted.Add(1))(w, r)
		})
		mux.HandleFunc("/mcp", func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer granted-") {
				w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+srv.URL+
					`/.well-known/oauth-protected-resource"`)
				http.Error(w, "a token, please", http.StatusUnauthorized)
				return
			}
			h.ServeHTTP(w, r)
		})
		return srv
	})
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: far.URL + "/mcp",
		OAuth: project.OAuth{ClientID: "me", ClientSecret: "open"}}}}, nil)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if got, err := agent.Ask[string](s.ctx, "docs.docs.search", note{Text: "x"}); err != nil ||
				got != "found x" {
				t.Error(got, err)
			}
		})
	}
	all.Wait()
	if n := granted.Load(); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
	wrong := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: far.URL + "/mcp",
		OAuth: project.OAuth{ClientID: "me", ClientSecret: "sesame-closed"}}}}, nil)
	_, err := agent.Ask[string](wrong.ctx, "docs.docs.search", note{Text: "x"})
	if agent.CodeOf(err) != agent.CodeUnavailable || !strings.Contains(err.Error(), far.URL+
		` gives no token: it answers 401 Unauthorized {"error":"invalid_client"}`) ||
		strings.Contains(err.Error()+wrong.log.String(), "sesame-closed") {
		t.Errorf("with the wrong secret: %v", err)
	}
}

// TestToolsThatComeAndGoReachTheGateway: a change at a foreign server, end to end.
func TestToolsThatComeAndGoReachTheGateway(t *testing.T) {
	far := newElsewhere(t, httptest.NewServer)
	s := start(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		Agents: map[string]project.Agent{"docs": {URL: far.URL}}}, nil)
	for _, path := range []string{"/sse", "/mcp"} {
		changed := make(chan bool, 100)
		c := sdk.NewClient(&sdk.Implementation{Name: "t", Version: "1"},
			&sdk.ClientOptions{ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) {
				changed <- true
			}})
		var tr sdk.Transport = &sdk.StreamableClientTransport{Endpoint: s.Status().URL + path,
			HTTPClient: httpClient(t)}
		if path == "/sse" {
			tr = &sdk.SSEClientTransport{Endpoint: s.Status().URL + path, HTTPClient: httpClient(t)}
		}
		cs, err := c.Connect(t.Context(), tr, &sdk.ClientSessionOptions{ProtocolVersion: "2025-06-18"})
		if err != nil {
			t.Fatal(err)
		}
		has := func(name string) bool {
			list, err := cs.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, tool := range list.Tools {
				if tool.Name == name {
					return true
				}
			}
			return false
		}
		sdk.AddTool(far.mcp, &sdk.Tool{Name: "fresh"},
			func(context.Context, *sdk.CallToolRequest, note) (*sdk.CallToolResult, any, error) {
				return &sdk.CallToolResult{}, nil, nil
			})
		<-changed
		testkit.Eventually(t, "the new tool is listed", func() bool { return has("docs_fresh") })
		far.mcp.RemoveTools("fresh")
		testkit.Eventually(t, "the tool is gone", func() bool { return !has("docs_fresh") })
		_ = cs.Close()
	}
}

// TestProtocolOfAServer: a server that is asked for the newest protocol may ask back by its
// results.
func TestProtocolOfAServer(t *testing.T) {
	far := foreign()
	far.AddTool(&sdk.Tool{Name: "where", InputSchema: map[string]any{"type": "object"}},
		func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			roots, ok := r.Params.InputResponses["r"].(*sdk.ListRootsResult)
			if !ok {
				return &sdk.CallToolResult{InputRequests: sdk.InputRequestMap{"r": &sdk.ListRootsParams{}},
					RequestState: "s"}, nil
			}
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fmt.Sprint(len(roots.Roots),
				" roots, ", r.Params.RequestState, ", ", r.ProtocolVersion())}}}, nil
		})
	srv := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
		return far
	}, &sdk.StreamableHTTPOptions{Stateless: true}))
	t.Cleanup(srv.Close)
	s := start(t, &project.Config{Agents: map[string]project.Agent{"docs": {URL: srv.URL, Protocol: "2026-07-28",
		Roots: []string{"."}}}}, nil)
	if got, err := agent.Ask[string](s.ctx, "docs.where", note{}); err != nil || got != "1 roots, s, 2026-07-28" {
		t.Errorf("%q, %v", got, err)
	}
}
