package mcp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// patience bounds what must not hang; nothing here takes that long.
const patience = 30 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// fixture is a foreign server, made with the SDK alone.
type fixture struct {
	*sdk.Server
	began chan string // the tool "hang" runs
	ended chan error  // and was cancelled
	free  chan struct{}
}

func newFixture() *fixture {
	f := &fixture{began: make(chan string, 1000), ended: make(chan error, 1000), free: make(chan struct{})}
	f.Server = sdk.NewServer(&sdk.Implementation{Name: "fixture", Version: "7"}, &sdk.ServerOptions{
		Instructions: "Tries things.", PageSize: 3,
		CompletionHandler: func(_ context.Context, r *sdk.CompleteRequest) (*sdk.CompleteResult, error) {
			v := r.Params.Ref.Type + ":" + r.Params.Argument.Value + "!"
			if r.Params.Context != nil {
				v += r.Params.Context.Arguments["who"]
			}
			return &sdk.CompleteResult{Completion: sdk.CompletionResultDetails{Values: []string{v}, Total: 1}}, nil
		},
	})
	object := json.RawMessage(`{"type":"object"}`)
	add := func(name string, h sdk.ToolHandler) {
		f.AddTool(&sdk.Tool{Name: name, InputSchema: object,
			Annotations: &sdk.ToolAnnotations{ReadOnlyHint: name == "echo"}}, h)
	}
	text := func(s string) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: s}}}
	}
	add("echo", func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{StructuredContent: r.Params.Arguments,
			Content: []sdk.Content{&sdk.TextContent{Text: string(r.Params.Arguments)}}}, nil
	})
	add("meta", func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{StructuredContent: map[string]any(r.Params.Meta), Content: []sdk.Content{}}, nil
	})
	add("fail", func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		res := text("out of paper")
		res.IsError = true
		return res, nil
	})
	add("hang", func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		f.began <- string(r.Params.Arguments)
		select {
		case <-ctx.Done():
		case <-f.free:
		}
		f.ended <- ctx.Err()
		return nil, errors.New("hung up")
	})
	add("ask", func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var in struct{ Kind, Say string }
		if err := json.Unmarshal(r.Params.Arguments, &in); err != nil {
			return nil, err
		}
		meta := sdk.Meta{metaID: r.Params.Meta[metaID]}
		switch in.Kind {
		case agent.AskElicit:
			res, err := r.Session.Elicit(ctx,
				&sdk.ElicitParams{Meta: meta, Message: in.Say, RequestedSchema: json.RawMessage(
					`{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}`)})
			if err != nil {
				return nil, err
			}
			return text(fmt.Sprint(res.Action, " ", res.Content["name"])), nil
		case agent.AskSample:
			res, err := r.Session.CreateMessage(ctx,
				&sdk.CreateMessageParams{Meta: meta, MaxTokens: 5, Messages: []*sdk.SamplingMessage{
					{Role: "user", Content: &sdk.TextContent{Text: in.Say}}}})
			if err != nil {
				return nil, err
			}
			return text(res.Model + ": " + res.Content.(*sdk.TextContent).Text), nil
		}
		res, err := r.Session.ListRoots(ctx, &sdk.ListRootsParams{Meta: meta})
		if err != nil {
			return nil, err
		}
		return text(fmt.Sprint(len(res.Roots), " roots")), nil
	})
	add("tell", func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		var in struct{ Progress, Log int }
		if err := json.Unmarshal(r.Params.Arguments, &in); err != nil {
			return nil, err
		}
		var errs []error
		for i := range in.Progress {
			errs = append(errs, r.Session.NotifyProgress(ctx,
				&sdk.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(),
					Progress: float64(i + 1), Total: float64(in.Progress), Message: "step"}))
		}
		for i := range in.Log {
			errs = append(errs, r.Session.Log(ctx,
				&sdk.LoggingMessageParams{Meta: sdk.Meta{metaID: r.Params.Meta[metaID]}, Level: "warning",
					Logger: "fixture", Data: i}))
		}
		return text("told"), errors.Join(errs...)
	})
	add("grow", func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		for i := range 5 {
			add(fmt.Sprintf("grown%d", i), func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
				return text("new"), nil
			})
		}
		return text("grown"), nil
	})
	add("wants", func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		in := r.Params.InputResponses
		name, _ := in["name"].(*sdk.ElicitResult)
		switch r.Params.RequestState {
		case "":
			return &sdk.CallToolResult{RequestState: "busy", InputRequests: sdk.InputRequestMap{}}, nil
		case "busy":
			return &sdk.CallToolResult{RequestState: "one", InputRequests: sdk.InputRequestMap{
				"name": &sdk.ElicitParams{Message: "who?",
					RequestedSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"},"title":{"type":"string","default":"Dr."}}}`)},
				"model": &sdk.CreateMessageParams{MaxTokens: 5,
					Messages: []*sdk.SamplingMessage{{Role: "user", Content: &sdk.TextContent{Text: "hm"}}}},
				"roots": &sdk.ListRootsParams{}}}, nil
		case "one":
			model, _ := in["model"].(*sdk.CreateMessageWithToolsResult)
			roots, _ := in["roots"].(*sdk.ListRootsResult)
			if name == nil || model == nil || roots == nil {
				return nil, errors.New("an answer is missing")
			}
			return &sdk.CallToolResult{RequestState: fmt.Sprint("two ", name.Content["title"], " ",
					name.Content["name"], ", ", model.Model, ", ", len(roots.Roots)),
					InputRequests: sdk.InputRequestMap{
						"name": &sdk.ElicitParams{Message: "again?",
							RequestedSchema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}}}`)}}},
				nil
		}
		return text(fmt.Sprint(r.Params.RequestState, ", ", name.Content["name"])), nil
	})
	add("die", func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		fmt.Fprintln(os.Stderr, "something is badly wrong")
		os.Exit(3)
		return nil, nil
	})
	add("pid", func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return text(fmt.Sprint(os.Getpid())), nil
	})
	f.AddPrompt(&sdk.Prompt{Name: "greet", Arguments: []*sdk.PromptArgument{{Name: "who", Required: true}}},
		func(_ context.Context, r *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
			return &sdk.GetPromptResult{Messages: []*sdk.PromptMessage{{Role: "user",
				Content: &sdk.TextContent{Text: "Hello " + r.Params.Arguments["who"]}}}}, nil
		})
	read := func(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		if strings.HasSuffix(r.Params.URI, "missing") {
			return nil, sdk.ResourceNotFoundError(r.Params.URI)
		}
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: r.Params.URI,
			Text: "text of " + r.Params.URI}}}, nil
	}
	f.AddResource(&sdk.Resource{URI: "doc://one", Name: "one"}, read)
	f.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: "doc://{name}", Name: "any"}, read)
	return f
}

// hangUp ends a server whose tools may still wait: the SDK's waits for them.
func (f *fixture) hangUp(srv *httptest.Server) {
	close(f.free)
	srv.CloseClientConnections()
	srv.Close()
	for ss := range f.Sessions() { // those whose clients did not say goodbye
		_ = ss.Close()
	}
}

// ways are how a fixture is reached.
var ways = map[string]func(t *testing.T, f *fixture, target Target, o ConnectOptions) *Session{
	"stdio": func(t *testing.T, f *fixture, target Target, o ConnectOptions) *Session {
		near, far := pipes(t)
		ctx, cancel := context.WithCancel(context.Background())
		var serving sync.WaitGroup
		serving.Go(func() {
			_ = f.Run(ctx, &sdk.IOTransport{Reader: far.Reader, Writer: far.Writer}) // how it ends is up to the client
		})
		t.Cleanup(func() { cancel(); serving.Wait() })
		return overPipes(t, near, target, o)
	},
	"sse": func(t *testing.T, f *fixture, target Target, o ConnectOptions) *Session {
		srv := httptest.NewServer(sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return f.Server }, nil))
		t.Cleanup(func() { f.hangUp(srv) })
		target.Transport, target.URL = SSE, srv.URL
		return mustConnect(t, target, o)
	},
	"http": func(t *testing.T, f *fixture, target Target, o ConnectOptions) *Session {
		o2 := &sdk.StreamableHTTPOptions{Stateless: target.Protocol == eraNewest}
		srv := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, o2))
		t.Cleanup(func() { f.hangUp(srv) })
		target.Transport, target.URL = Streamable, srv.URL
		return mustConnect(t, target, o)
	},
}

// everyWay runs test over each transport.
func everyWay(t *testing.T, target Target, o ConnectOptions, test func(t *testing.T, f *fixture, s *Session)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			test(t, f, way(t, f, target, o))
		})
	}
}

// pipe is one end of two pipes.
type pipe struct {
	Reader io.ReadCloser
	Writer io.WriteCloser
}

func pipes(t *testing.T) (near, far pipe) {
	t.Helper()
	r1, w1, err := os.Pipe()
	r2, w2, err2 := os.Pipe()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // who uses them closes them; this is for tests that fail early
		for _, c := range []io.Closer{r1, w1, r2, w2} {
			_ = c.Close()
		}
	})
	return pipe{r1, w2}, pipe{r2, w1}
}

// overPipes is a session to whoever holds the far end.
func overPipes(t *testing.T, p pipe, target Target, o ConnectOptions) *Session {
	t.Helper()
	s, err := connectPipes(t.Context(), p, target, o)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	return s
}

func connectPipes(ctx context.Context, p pipe, target Target, o ConnectOptions) (*Session, error) {
	target.Transport = Stdio
	o = o.withDefaults()
	o.Logger, o.NoExpress = quiet, o.NoExpress || noExpress
	line := wire.NewLine(p.Reader, p.Writer, wire.LineOptions{MaxFrame: o.MaxFrame, Logger: quiet})
	ctx, cancel := context.WithTimeoutCause(ctx, o.HandshakeTimeout, errHandshake)
	defer cancel()
	ctx, trace := wire.WithTrace(ctx)
	l := &link{transport: line, conn: line, line: line}
	s, err := open(ctx, target, o, l, cmp.Or(target.Protocol, eraLast))
	if err != nil {
		return nil, explain(ctx, &target, o, l, trace, err)
	}
	return s, nil
}

func mustConnect(t *testing.T, target Target, o ConnectOptions) *Session {
	t.Helper()
	o.Logger, o.NoExpress = quiet, o.NoExpress || noExpress
	s, err := Connect(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, s)
	return s
}

func closeAtEnd(t *testing.T, s *Session) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Close(ctx); err != nil && !t.Failed() && !strings.Contains(err.Error(), "was killed") {
			t.Errorf("close: %v", err)
		}
	})
}

// call calls a tool of the session.
func call(ctx context.Context, s *Session, tool string, in any, back agent.BackChannel) (*agent.Result, error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return s.Call(ctx, &agent.Call{ID: "call-" + tool, Op: agent.OpTool, Agent: "fixture", Name: tool, Input: raw,
		From: agent.Identity{Agent: "tester"}, Attempt: 1, Back: back})
}

func mustCall(t *testing.T, s *Session, tool string, in any, back agent.BackChannel) *agent.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := call(ctx, s, tool, in, back)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return res
}

// wantError checks code and evidence.
func wantError(t *testing.T, err error, code agent.Code, notExecuted bool) *agent.Error {
	t.Helper()
	var e *agent.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an agent.Error %s", err, code)
	}
	if e.Code != code || e.NotExecuted != notExecuted {
		t.Fatalf("got %v (not executed: %v), want %s (%v)", e, e.NotExecuted, code, notExecuted)
	}
	return e
}

func await[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return v
}
