package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// TestEveryClientGetsEverything runs each power of an agent over each transport, in its oldest and
// newest version.
func TestEveryClientGetsEverything(t *testing.T) {
	p, dir := fixture.NewProbe(), &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(p))
	dir.Add(t, "other", fixture.OtherCaps())
	s := newSite(t, dir, GatewayOptions{Project: "demo"})
	for _, w := range everyClient() {
		t.Run(w.String(), func(t *testing.T) {
			cs := s.join(t, w, nil)
			if got := cs.InitializeResult().ProtocolVersion; w.version != "" && got != w.version || w.version == "" &&
				(got > codec.Version20251125) != (w.transport != mcp.SSE) {
				t.Errorf("negotiated %s", got)
			}
			t.Run("lists", func(t *testing.T) { checkLists(t, cs) })
			t.Run("tools", func(t *testing.T) { checkTools(t, cs, cs.InitializeResult().ProtocolVersion) })
			t.Run("errors", func(t *testing.T) { checkErrors(t, cs) })
			t.Run("prompts", func(t *testing.T) { checkPrompts(t, cs) })
			missing := int64(codec.CodeResourceNotFound)
			if cs.InitializeResult().ProtocolVersion > codec.Version20251125 {
				missing = jsonrpc.CodeInvalidParams
			}
			t.Run("resources", func(t *testing.T) { checkResources(t, cs, missing) })
		})
	}
}

func checkLists(t *testing.T, cs *sdk.ClientSession) {
	tools, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(tools.Tools, func(t *sdk.Tool) bool { return t.Name == "echo_say" })
	if len(tools.Tools) != 15 || i < 0 {
		t.Fatalf("%d tools, echo_say is %d", len(tools.Tools), i)
	}
	say := tools.Tools[i]
	if say.Title != "Say it" || say.Description != "does say" || !say.Annotations.ReadOnlyHint ||
		!strings.Contains(fixture.MustJSON(t, say.InputSchema), `"word"`) {
		t.Errorf("%s", fixture.MustJSON(t, say))
	}
	prompts, err := cs.ListPrompts(t.Context(), nil)
	if err != nil || len(prompts.Prompts) != 1 || prompts.Prompts[0].Name != "echo_greet" ||
		len(prompts.Prompts[0].Arguments) != 2 {
		t.Errorf("%s %v", fixture.MustJSON(t, prompts), err)
	}
	resources, err := cs.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) != 1 || resources.Resources[0].URI != "echo://one" {
		t.Errorf("%s %v", fixture.MustJSON(t, resources), err)
	}
	templates, err := cs.ListResourceTemplates(t.Context(), nil)
	if err != nil || len(templates.ResourceTemplates) != 1 ||
		templates.ResourceTemplates[0].URITemplate != "echo://n/{n}" {
		t.Errorf("%s %v", fixture.MustJSON(t, templates), err)
	}
}

func checkTools(t *testing.T, cs *sdk.ClientSession, version string) {
	for _, name := range []string{"echo_say", "echo.say"} {
		res := fixture.CallTool(t, cs, name, fixture.Word{Word: "grüß"})
		if res.IsError || fixture.TextOf(res) != `{"echoed":"grüß"}` ||
			fixture.MustJSON(t, res.StructuredContent) != `{"echoed":"grüß"}` {
			t.Errorf("%s: %s", name, fixture.MustJSON(t, res))
		}
	}
	if res := fixture.CallTool(t, cs, "echo_plain", fixture.Word{Word: "x"}); len(res.Content) != 1 ||
		fixture.TextOf(res) != "x" ||
		res.StructuredContent != nil {
		t.Errorf("%s", fixture.MustJSON(t, res))
	}
	var types []string
	for _, b := range fixture.CallTool(t, cs, "echo_blocks", fixture.Word{}).Content {
		types = append(types, fixture.Block(t, b).Type)
	}
	want := "text image audio resource_link resource"
	switch version {
	case codec.Version20241105:
		want = "text image text text resource"
	case codec.Version20250326:
		want = "text image audio text resource"
	}
	if got := strings.Join(types, " "); got != want {
		t.Errorf("blocks in %s: %s, want %s", version, got, want)
	}
	// A call that calls: the second agent knows who asks, and how deep it is.
	if got := fixture.MustJSON(t, fixture.CallTool(t, cs, "echo_ask",
		fixture.Word{Word: "w"}).StructuredContent); got != `{"caller":"echo","depth":1,"other":"w"}` {
		t.Error(got)
	}
}

func checkErrors(t *testing.T, cs *sdk.ClientSession) {
	for name, c := range map[string]struct {
		args any
		code agent.Code
		text string
	}{
		"echo_fail":  {fixture.Word{Word: "no such city"}, agent.CodeToolFailed, "no such city"},
		"echo_busy":  {fixture.Word{}, agent.CodeUnavailable, "later"},
		"echo_panic": {fixture.Word{Word: "secret detail of a panic"}, agent.CodeInternal, "panicked"},
		"echo_say":   {map[string]any{"town": 1}, agent.CodeInvalidArgument, "invalid input"},
		"echo.plain": {[]int{1}, agent.CodeInvalidArgument, "invalid input"},
	} {
		res := fixture.CallTool(t, cs, name, c.args)
		if !res.IsError || res.Meta[codec.MetaCode] != string(c.code) ||
			!strings.Contains(fixture.TextOf(res), c.text) {
			t.Errorf("%s: %s", name, fixture.MustJSON(t, res))
		}
	}
	_, err := codec.DecodeToolResult([]byte(fixture.MustJSON(t, fixture.CallTool(t, cs, "echo_busy", fixture.Word{}))),
		true)
	if e := agent.AsError(err); e.RetryAfter.Seconds() != 3 || string(e.Details) != `{"queue":7}` || e.NotExecuted {
		t.Errorf("%s", fixture.MustJSON(t, e))
	}
	for _, name := range []string{"echo_none", "nobody.say", "say", codec.EventTool} {
		_, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: fixture.Word{}})
		var rpc *jsonrpc.Error
		if !errors.As(err, &rpc) || rpc.Code != jsonrpc.CodeInvalidParams ||
			!strings.Contains(rpc.Message, "unknown tool") {
			t.Errorf("%s: %v", name, err)
		}
		if e, _ := codec.FromRPCError(err, true); e.Code != agent.CodeNotFound || !e.NotExecuted {
			t.Errorf("%s: %v", name, e)
		}
	}
	if res := fixture.CallTool(t, cs, "echo_say", fixture.Word{Word: "alive"}); res.IsError {
		t.Errorf("after all that: %s", fixture.MustJSON(t, res))
	}
}

func checkPrompts(t *testing.T, cs *sdk.ClientSession) {
	for _, name := range []string{"echo_greet", "echo.greet"} {
		res, err := cs.GetPrompt(t.Context(),
			&sdk.GetPromptParams{Name: name, Arguments: map[string]string{"name": "Ada"}})
		if err != nil || len(res.Messages) != 1 || res.Description != "d" ||
			fixture.Block(t, res.Messages[0].Content).Text != "hello Ada" {
			t.Fatalf("%s: %s %v", name, fixture.MustJSON(t, res), err)
		}
	}
	_, err := cs.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "echo_greet"})
	if e, ok := codec.FromRPCError(err, false); !ok || e.Code != agent.CodeInvalidArgument {
		t.Errorf("a missing argument: %v", err)
	}
	_, err = cs.GetPrompt(t.Context(), &sdk.GetPromptParams{Name: "none"})
	if e, ok := codec.FromRPCError(err, false); !ok || e.Code != agent.CodeNotFound {
		t.Errorf("an unknown prompt: %v", err)
	}
	res, err := cs.Complete(t.Context(),
		&sdk.CompleteParams{Ref: &sdk.CompleteReference{Type: "ref/prompt", Name: "echo_greet"},
			Argument: sdk.CompleteParamsArgument{Name: "name", Value: "A"},
			Context:  &sdk.CompleteContext{Arguments: map[string]string{"tone": "!"}}})
	if err != nil || !slices.Equal(res.Completion.Values, []string{"Ada!", "Alice"}) {
		t.Errorf("completion: %s %v", fixture.MustJSON(t, res), err)
	}
}

func checkResources(t *testing.T, cs *sdk.ClientSession, missing int64) {
	for uri, want := range map[string]string{"echo://one": "1", "echo://n/42": "42"} {
		res, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		if err != nil || len(res.Contents) != 1 || res.Contents[0].Text != want || res.Contents[0].URI != uri ||
			res.Contents[0].MIMEType != "text/plain" {
			t.Errorf("%s: %s %v", uri, fixture.MustJSON(t, res), err)
		}
	}
	for _, uri := range []string{"echo://none", "echo://n/0"} {
		_, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		var rpc *jsonrpc.Error
		if !errors.As(err, &rpc) || rpc.Code != missing || !strings.Contains(string(rpc.Data), uri) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	res, err := cs.Complete(t.Context(),
		&sdk.CompleteParams{Ref: &sdk.CompleteReference{Type: "ref/resource", URI: "echo://n/{n}"},
			Argument: sdk.CompleteParamsArgument{Name: "n", Value: "4"}})
	if err != nil || !slices.Equal(res.Completion.Values, []string{"41"}) {
		t.Errorf("completion: %s %v", fixture.MustJSON(t, res), err)
	}
}

// TestToolsCanAskTheClient is progress, log, elicitation, sampling, roots and pending results.
func TestToolsCanAskTheClient(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{})
	for _, w := range everyClient() {
		t.Run(w.String(), func(t *testing.T) {
			progress, logs := make(chan *sdk.ProgressNotificationParams, 10), make(chan *sdk.LoggingMessageParams, 10)
			asked := make(chan sdk.Meta, 10)
			cs := s.join(t, w, &sdk.ClientOptions{
				Capabilities: &sdk.ClientCapabilities{RootsV2: &sdk.RootCapabilities{}},
				ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
					progress <- r.Params
				},
				LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) { logs <- r.Params },
				ElicitationHandler: func(_ context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
					asked <- r.Params.Meta
					return &sdk.ElicitResult{Action: "accept",
						Content: map[string]any{"word": "re: " + r.Params.Message}}, nil
				},
				CreateMessageHandler: func(_ context.Context, r *sdk.CreateMessageRequest) (*sdk.CreateMessageResult,
					error) {
					asked <- r.Params.Meta
					return &sdk.CreateMessageResult{Role: "assistant", Model: "m1",
							Content: &sdk.TextContent{Text: "re: " +
								fixture.Block(t, r.Params.Messages[0].Content).Text}},
						nil
				},
			})
			newest := cs.InitializeResult().ProtocolVersion > codec.Version20251125
			call := &sdk.CallToolParams{Name: "echo_report", Arguments: fixture.Word{Word: "w"}}
			if newest {
				call.Meta = sdk.Meta{sdk.MetaKeyLogLevel: "info"}
			}
			call.SetProgressToken("tok")
			if res, err := cs.CallTool(t.Context(), call); err != nil || res.IsError {
				t.Fatal(fixture.MustJSON(t, res), err)
			}
			for i := range 3 {
				if n := fixture.Receive(t, "progress", progress); n.Progress != float64(i+1) || n.Total != 3 ||
					n.Message != "w" || n.ProgressToken != "tok" {
					t.Errorf("%s", fixture.MustJSON(t, n))
				}
			}
			if n := fixture.Receive(t, "log", logs); n.Level != "warning" || n.Logger != "echo" ||
				fixture.MustJSON(t, n.Data) != `{"word":"w"}` || n.Meta[codec.MetaID] == nil {
				t.Errorf("%s", fixture.MustJSON(t, n))
			}
			for name, want := range map[string]string{"elicit": `{"word":"re: w"}`,
				"sample": `{"model":"m1","text":"re: w"}`} {
				if res := fixture.CallTool(t, cs, "echo_"+name, fixture.Word{Word: "w"}); fixture.MustJSON(t,
					res.StructuredContent) != want {
					t.Errorf("%s: %s", name, fixture.MustJSON(t, res))
				}
				if m := fixture.Receive(t, name, asked); len(m) > 0 {
					t.Errorf("%s: a stranger is told %v", name, m)
				}
			}
			if res := fixture.CallTool(t, cs, "echo_pending", nil); !strings.Contains(fixture.TextOf(res),
				`"re: which word?"`) ||
				!strings.HasPrefix(fixture.TextOf(res), "s1 ") {
				t.Errorf("pending: %s", fixture.MustJSON(t, res))
			}
			cs2 := s.join(t, w, &sdk.ClientOptions{Capabilities: &sdk.ClientCapabilities{}})
			for _, name := range []string{"elicit", "sample", "roots", "pending"} {
				res, err := cs2.CallTool(t.Context(),
					&sdk.CallToolParams{Name: "echo_" + name, Arguments: fixture.Word{Word: "w"}})
				if newest {
					if e, ok := codec.FromRPCError(err, true); !ok || e.Code != agent.CodeUnavailable ||
						!strings.Contains(err.Error(), "does not answer") {
						t.Errorf("%s without the capability: %s %v", name, fixture.MustJSON(t, res), err)
					}
				} else if err != nil || !res.IsError || res.Meta[codec.MetaCode] != "unavailable" {
					t.Errorf("%s without the capability: %s %v", name, fixture.MustJSON(t, res), err)
				}
			}
			if len(logs) != 0 {
				t.Errorf("a log line below the level came: %s", fixture.MustJSON(t, <-logs))
			}
		})
	}
}

func TestRootsAndRefusals(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{})
	client := sdk.NewClient(&sdk.Implementation{Name: "rooted", Version: "1"}, &sdk.ClientOptions{
		ElicitationHandler: func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
			return nil, errors.New("the window is closed")
		}})
	client.AddRoots(&sdk.Root{URI: "file:///work", Name: "work"})
	cs, err := client.Connect(t.Context(), fixture.SDKPipes(t, s.ServeStdio),
		&sdk.ClientSessionOptions{ProtocolVersion: codec.Version20251125})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cs.Close() }()
	if res := fixture.CallTool(t, cs, "echo_roots", fixture.Word{}); fixture.MustJSON(t,
		res.StructuredContent) != `{"roots":[{"name":"work","uri":"file:///work"}]}` {
		t.Errorf("%s", fixture.MustJSON(t, res))
	}
	if res := fixture.CallTool(t, cs, "echo_elicit", fixture.Word{}); !res.IsError ||
		!strings.Contains(fixture.TextOf(res), "the window is closed") {
		t.Errorf("%s", fixture.MustJSON(t, res))
	}
}

func TestListsFollowTheDirectory(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{})
	for _, w := range []way{{mcp.Stdio, codec.Version20260728, "", ""}, {mcp.Streamable, codec.Version20260728, "", ""},
		{mcp.Stdio, codec.Version20251125, "", ""},
		{mcp.SSE, codec.Version20251125, "", ""}, {mcp.Streamable, codec.Version20251125, "", ""}} {
		t.Run(w.String(), func(t *testing.T) {
			changed := make(chan struct{}, 10)
			cs := s.join(t, w, &sdk.ClientOptions{ToolListChangedHandler: func(context.Context,
				*sdk.ToolListChangedRequest) {
				changed <- struct{}{}
			}})
			dir.Add(t, "other", fixture.OtherCaps())
			s.Refresh()
			fixture.Receive(t, "listChanged", changed)
			if res := fixture.CallTool(t, cs, "other_say", fixture.Word{Word: "w"}); res.IsError {
				t.Errorf("%s", fixture.MustJSON(t, res))
			}
			dir.Remove("other")
			s.Refresh()
			fixture.Receive(t, "listChanged", changed)
			if _, err := cs.CallTool(t.Context(),
				&sdk.CallToolParams{Name: "other_say", Arguments: fixture.Word{}}); err == nil {
				t.Error("an agent that is gone was called")
			}
		})
	}
}

// later is a connection of a client that begins with a handshake of a later version than has one.
type later struct {
	http.RoundTripper
	io.Writer
	to string
}

func (l later) rewrite(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte(`"protocolVersion":"`+codec.Version20251125), []byte(`"protocolVersion":"`+l.to))
}

func (l later) Write(b []byte) (int, error) {
	if _, err := l.Writer.Write(l.rewrite(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (l later) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		b = l.rewrite(b)
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		if bytes.Contains(b, []byte(`"protocolVersion":"`+l.to)) {
			r.Header.Set(codec.VersionHeader, l.to) // some say it here as well
		}
	}
	return l.RoundTripper.RoundTrip(r)
}

// A client whose handshake asks for a version without handshakes gets the last one that has them,
// and all that belongs to it.
func TestAHandshakeOfALaterVersion(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	s := newSite(t, dir, GatewayOptions{})
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	for _, version := range []string{codec.Version20260728, "2099-12-31"} {
		l := later{RoundTripper: base, to: version}
		hc := &http.Client{Transport: l}
		pipes := fixture.SDKPipes(t, s.ServeStdio)
		pipes.Writer = struct {
			io.Writer
			io.Closer
		}{later{Writer: pipes.Writer, to: version}, pipes.Writer}
		for kind, tr := range map[mcp.Transport]sdk.Transport{mcp.Stdio: pipes,
			mcp.SSE:        &sdk.SSEClientTransport{Endpoint: s.url + "/sse", HTTPClient: hc},
			mcp.Streamable: &sdk.StreamableClientTransport{Endpoint: s.url + "/mcp", HTTPClient: hc, MaxRetries: -1}} {
			t.Run(string(kind)+" "+version, func(t *testing.T) {
				changed := make(chan struct{}, 10)
				cs, err := fixture.ConnectSDK(t, tr, codec.Version20251125, &sdk.ClientOptions{
					Capabilities: &sdk.ClientCapabilities{RootsV2: &sdk.RootCapabilities{}},
					ElicitationHandler: func(context.Context, *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
						return &sdk.ElicitResult{Action: "accept", Content: map[string]any{"word": "yes"}}, nil
					},
					CreateMessageHandler: func(context.Context, *sdk.CreateMessageRequest) (*sdk.CreateMessageResult,
						error) {
						return &sdk.CreateMessageResult{Role: "assistant", Model: "m",
							Content: &sdk.TextContent{Text: "yes"}}, nil
					},
					ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) {
						changed <- struct{}{}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := cs.InitializeResult().ProtocolVersion; got != codec.Version20251125 {
					t.Errorf("the version is %s", got)
				}
				for _, name := range []string{"elicit", "sample", "roots"} {
					if res := fixture.CallTool(t, cs, "echo_"+name, fixture.Word{Word: "w"}); res.IsError {
						t.Errorf("%s: %s", name, fixture.MustJSON(t, res))
					}
				}
				dir.Add(t, "other", fixture.OtherCaps())
				s.Refresh()
				fixture.Receive(t, "listChanged", changed)
				dir.Remove("other")
				s.Refresh()
			})
		}
	}
}

func TestForeignToolsThatCannotBeListedAreLeftOut(t *testing.T) {
	dir := listed{{Name: "odd", Tools: []agent.ToolInfo{
		{Name: "fine"}, {Name: "untyped", InputSchema: json.RawMessage(`{"properties":{}}`)},
		{Name: "broken", InputSchema: json.RawMessage(`{"type":"object",`)},
		{Name: "out", InputSchema: json.RawMessage(`{"type":"object"}`),
			OutputSchema: json.RawMessage(`{"type":"array"}`)},
	}, Resources: []agent.ResourceInfo{{URI: "odd://x", Name: "x"}, {URI: "%zz", Name: "bad"},
		{Template: "odd://{", Name: "bad"}}}}
	s := newSite(t, dir, GatewayOptions{})
	cs := s.join(t, way{transport: mcp.Stdio, version: codec.Version20251125}, nil)
	tools, err := cs.ListTools(t.Context(), nil)
	if err != nil || len(tools.Tools) != 4 {
		t.Errorf("%s %v", fixture.MustJSON(t, tools), err)
	}
	resources, err := cs.ListResources(t.Context(), nil)
	if err != nil || len(resources.Resources) != 1 {
		t.Errorf("%s %v", fixture.MustJSON(t, resources), err)
	}
}

// listed is a directory of descriptions only.
type listed []agent.Info

func (l listed) Call(context.Context, *agent.Call) (*agent.Result, error) {
	panic("a directory that panics")
}
func (l listed) Agents() []agent.Info { return l }
func (l listed) Agent(name string) (agent.Info, bool) {
	i := slices.IndexFunc(l, func(a agent.Info) bool { return a.Name == name })
	if i < 0 {
		return agent.Info{}, false
	}
	return l[i], true
}

func TestAPanicBehindTheHostCostsOneCall(t *testing.T) {
	s := newSite(t, listed{{Name: "odd", Tools: []agent.ToolInfo{{Name: "fine"}}}}, GatewayOptions{})
	cs := s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	for range 2 {
		if res := fixture.CallTool(t, cs, "odd_fine", nil); !res.IsError || res.Meta[codec.MetaCode] != "internal" ||
			strings.Contains(fixture.TextOf(res), "goroutine") {
			t.Errorf("%s", fixture.MustJSON(t, res))
		}
	}
	if log := s.log.String(); !strings.Contains(log, "a directory that panics") || !strings.Contains(log, "goroutine") {
		t.Error("the log does not hold the panic and its stack")
	}
}
