package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang is how long a test waits for what must happen soon.
const hang = 30 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// fixture is an SDK server with tools that tests look into.
type fixture struct {
	*sdk.Server
	started   chan struct{} // one for each wait call that has begun
	cancelled chan struct{} // one for each wait call that was cancelled
	header    atomic.Value  // string: X-Test of the last echo
}

type echoIn struct {
	Text string `json:"text"`
	Size int    `json:"size,omitempty"`
}

func newFixture() *fixture {
	f := &fixture{started: make(chan struct{}, 100), cancelled: make(chan struct{}, 100)}
	f.Server = sdk.NewServer(&sdk.Implementation{Name: "fixture", Version: "1"}, &sdk.ServerOptions{Logger: quiet})
	text := func(s string) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: s}}}
	}
	sdk.AddTool(f.Server, &sdk.Tool{Name: "echo"},
		func(ctx context.Context, r *sdk.CallToolRequest, in echoIn) (*sdk.CallToolResult, any, error) {
			if r.Extra != nil && r.Extra.Header != nil {
				f.header.Store(r.Extra.Header.Get("X-Test"))
			}
			return text(in.Text + strings.Repeat("x", in.Size)), nil, nil
		})
	sdk.AddTool(f.Server, &sdk.Tool{Name: "wait"},
		func(ctx context.Context, r *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
			f.started <- struct{}{}
			<-ctx.Done()
			f.cancelled <- struct{}{}
			return nil, nil, ctx.Err()
		})
	sdk.AddTool(f.Server, &sdk.Tool{Name: "count"},
		func(ctx context.Context, r *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
			for i := range 3 {
				if err := r.Session.NotifyProgress(ctx,
					&sdk.ProgressNotificationParams{ProgressToken: r.Params.GetProgressToken(),
						Progress: float64(i + 1), Total: 3}); err != nil {
					return nil, nil, err
				}
			}
			return text("counted"), nil, nil
		})
	return f
}

// serve runs the fixture on t, until the connection ends.
func (f *fixture) serve(t *testing.T, transport sdk.Transport) *sdk.ServerSession {
	t.Helper()
	ss, err := f.Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ss
}

// dial opens an SDK client session; it is closed when the test ends. progress may be nil.
func dial(t *testing.T, transport sdk.Transport, progress func(float64)) *sdk.ClientSession {
	t.Helper()
	cs, err := dialErr(t, transport, progress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// dialErr connects with the test's context: the SDK's SSE transport ends with the context of
// Connect.
func dialErr(t *testing.T, transport sdk.Transport, progress func(float64)) (*sdk.ClientSession, error) {
	opts := &sdk.ClientOptions{Logger: quiet}
	if progress != nil {
		opts.ProgressNotificationHandler = func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			progress(r.Params.Progress)
		}
	}
	c := sdk.NewClient(&sdk.Implementation{Name: "client", Version: "1"}, opts)
	return c.Connect(t.Context(), transport, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
}

func echo(ctx context.Context, cs *sdk.ClientSession, in echoIn) (string, error) {
	res, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "echo", Arguments: in})
	if err != nil {
		return "", err
	}
	if len(res.Content) != 1 {
		return "", fmt.Errorf("%d content blocks", len(res.Content))
	}
	return res.Content[0].(*sdk.TextContent).Text, nil
}

func mustEcho(t *testing.T, cs *sdk.ClientSession) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if got, err := echo(ctx, cs, echoIn{Text: "still here"}); err != nil || got != "still here" {
		t.Fatalf("echo: %q, %v", got, err)
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(hang):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// exercise is what every pair of connections must carry: lists, calls, progress, cancellation, many
// calls at once.
func exercise(t *testing.T, f *fixture, connect func(t *testing.T, progress func(float64)) *sdk.ClientSession) {
	progress := make(chan float64, 10)
	cs := connect(t, func(p float64) { progress <- p })
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if v := cs.InitializeResult().ProtocolVersion; v != "2025-11-25" {
		t.Errorf("negotiated %s", v)
	}
	tools, err := cs.ListTools(ctx, nil)
	if err != nil || len(tools.Tools) != 3 {
		t.Fatalf("tools/list: %v, %v", tools, err)
	}
	if got, err := echo(ctx, cs, echoIn{Text: "grüße\n\u2028\"\\ 🙂"}); err != nil || got != "grüße\n\u2028\"\\ 🙂" {
		t.Errorf("echo: %q, %v", got, err)
	}
	if got, err := echo(ctx, cs, echoIn{Size: 1 << 20}); err != nil || len(got) != 1<<20 {
		t.Errorf("echo of 1 MiB: %d bytes, %v", len(got), err)
	}
	if _, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "nobody"}); err == nil {
		t.Error("an unknown tool was called")
	}

	params := &sdk.CallToolParams{Name: "count"}
	params.SetProgressToken("p1")
	if _, err := cs.CallTool(ctx, params); err != nil {
		t.Errorf("count: %v", err)
	}
	for want := range 3 {
		if got := receive(t, progress, "progress"); got != float64(want+1) {
			t.Errorf("progress %v, want %v", got, want+1)
		}
	}

	cctx, stop := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() {
		_, err := cs.CallTool(cctx, &sdk.CallToolParams{Name: "wait"})
		failed <- err
	}()
	receive(t, f.started, "the call to start")
	stop()
	if err := receive(t, failed, "the cancelled call"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call: %v", err)
	}
	receive(t, f.cancelled, "the tool to be cancelled")

	var calls sync.WaitGroup
	for i := range 100 {
		calls.Go(func() {
			want := fmt.Sprint("call ", i)
			if got, err := echo(ctx, cs, echoIn{Text: want}); err != nil || got != want {
				t.Errorf("%s: %q, %v", want, got, err)
			}
		})
	}
	calls.Wait()
	if err := cs.Close(); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("close: %v", err)
	}
}
