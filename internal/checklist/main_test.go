package checklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/mcptest"
	"github.com/openmas/openmas/runtime"
)

// hang is a generous bound on what must not take for ever.
const hang = 30 * time.Second

// roleVar makes the test binary a program: "openmas", the command with the agents of these tests,
// or "mute", a server that never answers.
const roleVar = "CHECKLIST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVar); {
	case role == "mute":
		fmt.Fprintln(os.Stderr, "STDIO_SERVER_READY")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case role != "" || os.Getenv(runtime.ChildVar) != "":
		os.Exit(cli.Main(cli.Program{Types: agent.Types{"guide": func() agent.Agent {
			return &guide{}
		}, "broken": func() agent.Agent { return &broken{} }}, Version: "v0"}))
	}
	if testkit.OnlyProcesses() {
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		// idle connections of the default client, which the SDK uses
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

// guide is the server of the guide: it echoes, fails, waits, counts.
type guide struct{ count atomic.Int64 }

type anything struct {
	Message any `json:"message"`
}

type wait struct {
	MS int `json:"ms"`
}

func (g *guide) Capabilities() agent.Capabilities {
	value := func(v any) func(context.Context, struct{}) (any, error) {
		return func(context.Context, struct{}) (any, error) { return v, nil }
	}
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("echo", "Say it back.", func(_ context.Context, in anything) (map[string]any, error) {
			return map[string]any{"echoed": in.Message}, nil
		}),
		agent.NewTool("text", "", func(context.Context, struct{}) (string, error) { return `plain "text"`, nil }),
		agent.NewTool("map", "", value(map[string]any{"a": 1})),
		agent.NewTool("list", "", value([]any{1, "two"})),
		agent.NewTool("number", "", value(7)),
		agent.NewTool("fail", "", func(context.Context, struct{}) (string, error) {
			return "", errors.New("as asked")
		}),
		agent.NewTool("panic", "", func(context.Context, struct{}) (string, error) { panic("as asked") }),
		agent.NewTool("print", "", func(context.Context, struct{}) (string, error) {
			_, err := fmt.Println("a stray print")
			return "printed", err
		}),
		agent.NewTool("wait", "", func(ctx context.Context, in wait) (string, error) {
			select {
			case <-time.After(time.Duration(in.MS) * time.Millisecond):
				return "waited", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}),
		agent.NewTool("count", "", func(context.Context, struct{}) (int64, error) { return g.count.Add(1), nil }),
		agent.NewTool("client", "", func(ctx context.Context, _ struct{}) (string, error) {
			return agent.CallFrom(ctx).Meta["client.id"], nil
		}),
	}}
}

// broken is an agent whose Runner fails for good.
type broken struct{}

func (*broken) Capabilities() agent.Capabilities { return agent.Capabilities{} }
func (*broken) Run(context.Context) error        { return errors.New("out of order") }

const yaml = "project: guide\nagents:\n  guide: {type: guide}\ngateway: {}\n"

// projectFile writes a project file.
func projectFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// command is the openmas command in a process of its own.
func command(args ...string) mcptest.Options {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return mcptest.Options{Command: append([]string{exe}, args...), Env: map[string]string{roleVar: "openmas",
		"GORACE": testkit.NoExitSleep}}
}

// serve runs the project and waits until it is up. over stdio it is served there, else on a free
// port.
func serve(t *testing.T, over mcp.Transport, args ...string) *mcptest.Server {
	t.Helper()
	o := command("run", projectFile(t, yaml))
	if o.Transport = over; over == mcp.Stdio {
		o.Args = append(args, "--stdio", "--listen", "127.0.0.1:0")
	} else {
		o.Args = append(args, "--listen", "127.0.0.1:0")
		o.Path = "/agents/guide" + map[mcp.Transport]string{mcp.SSE: "/sse", mcp.Streamable: "/mcp"}[over]
	}
	return mcptest.Start(t, o)
}

// name is the tool's on that transport: on stdio, agents have the gateway's names.
func name(over mcp.Transport, tool string) string {
	if over == mcp.Stdio {
		return "guide_" + tool
	}
	return tool
}

func call(t *testing.T, cs *sdk.ClientSession, tool string, args any) *sdk.CallToolResult {
	t.Helper()
	if args == nil {
		args = map[string]any{}
	}
	res, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	return res
}

// text is that of the only content block.
func text(t *testing.T, res *sdk.CallToolResult) string {
	t.Helper()
	if len(res.Content) != 1 {
		t.Fatalf("%d content blocks", len(res.Content))
	}
	block, ok := res.Content[0].(*sdk.TextContent)
	if !ok {
		t.Fatalf("the content is %T", res.Content[0])
	}
	return block.Text
}

// session is one of ours to a server's agent.
func session(t *testing.T, s *mcptest.Server, o client.Options) *client.Session {
	t.Helper()
	out, err := client.Connect(t.Context(),
		client.Target{Name: "guide", Transport: mcp.SSE, URL: s.URL() + "/agents/guide/sse"}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close(context.Background()) })
	return out
}

func invoke(ctx context.Context, s *client.Session, tool string, args any) (*agent.Result, error) {
	in, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	return s.Call(ctx, &agent.Call{Op: agent.OpTool, Name: tool, Input: in})
}

// request makes a plain HTTP request; a stream's body is the caller's to close, any other is read.
func request(t *testing.T, method, url, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		t.Cleanup(func() { _ = res.Body.Close() })
		return res, ""
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

// status is what the runtime reports about itself.
func status(t *testing.T, s *mcptest.Server) runtime.Status {
	t.Helper()
	one, err := client.Connect(t.Context(),
		client.Target{Transport: mcp.Streamable, URL: s.URL() + "/agents/openmas/mcp"},
		client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = one.Close(context.Background()) }()
	res, err := invoke(t.Context(), one, "status", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	var out runtime.Status
	if err := res.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func start(t *testing.T, o mcptest.Options) *mcptest.Server {
	t.Helper()
	return mcptest.Start(t, o)
}
