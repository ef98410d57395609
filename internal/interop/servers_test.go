package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/interop/toolbox"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
)

// A server is a program of testdata on one transport.
type server struct {
	peer, version string
	needs         []*toolbox.Tool
	transport     mcp.Transport
	command       func(t *testing.T) []string // without the transport
	// of the tool fail; newer Python SDKs keep an exception's text to themselves
	failText string
	// its sessions over SSE have no sampling
	noSampling bool
	// its notices can get lost: another goroutine sends them than the answer
	losesNotices bool
}

func (s server) name() string { return fmt.Sprintf("%s %s %s", s.peer, s.version, s.transport) }

func (s server) argv(t *testing.T) []string {
	return append(s.command(t), "--transport", string(s.transport))
}

func servers() []server {
	python := func(tool *toolbox.Tool, version, failText string, transports ...mcp.Transport) (out []server) {
		for _, tr := range transports {
			out = append(out, server{"Python SDK", version, []*toolbox.Tool{tool}, tr, func(t *testing.T) []string {
				script, err := filepath.Abs(filepath.Join("testdata", "python", "server.py"))
				if err != nil {
					t.Fatal(err)
				}
				return []string{toolbox.PythonIn(folder(tool)), script}
			}, failText, false, false})
		}
		return out
	}
	out := python(toolbox.PythonOld, toolbox.PythonOldVersion, "as asked", mcp.Stdio, mcp.SSE)
	out = append(out, python(toolbox.PythonNew, toolbox.PythonNewVersion, "fail", mcp.Stdio, mcp.SSE,
		mcp.Streamable)...)
	for _, tr := range []mcp.Transport{mcp.Stdio, mcp.SSE, mcp.Streamable} {
		out = append(out, server{"TypeScript SDK", toolbox.TypeScriptVersion,
			[]*toolbox.Tool{toolbox.Node, toolbox.Peers}, tr, func(t *testing.T) []string {
				return []string{nodeProgram(t), filepath.Join(bench.scripts, "server.mjs")}
			}, "as asked", false, false})
		out = append(out, server{"mcp-go", mcpGoVersion(), nil, tr, func(t *testing.T) []string {
			return []string{mcpGo(t), "server"}
		}, "as asked", tr == mcp.SSE, true})
	}
	return out
}

// values are what echo has to return unchanged. No text that is JSON itself: Python servers read
// arguments leniently.
var values = []any{"hello", 42.0, 2.5, true, nil, []any{1.0, "two", []any{3.0}},
	map[string]any{"k": map[string]any{"n": nil}}, "grüße 🦊 日本語", ""}

// Each server as a program that a session starts, and at a URL: through the client that agents are
// reached by.
func TestServersThroughConnect(t *testing.T) {
	for _, s := range servers() {
		for _, launched := range []bool{true, false} {
			if s.transport == mcp.Stdio && !launched {
				continue
			}
			how := map[bool]string{true: " command", false: " url"}[launched]
			t.Run(s.name()+how, func(t *testing.T) {
				noted := rows.add(t, s.peer, s.version, theirServer, string(s.transport)+how)
				needs(t, s.needs...)
				t.Parallel()
				target := client.Target{Name: "peer", Transport: s.transport, Dir: bench.dir,
					Stderr: func(line []byte) {}}
				if launched {
					target.Command = s.argv(t)
				} else {
					target.URL = start(t, nil, s.argv(t)...).url(t)
				}
				began := time.Now()
				session := connect(t, target)
				noted.result = fmt.Sprintf("ok, protocol %s, connected in %d ms", session.ProtocolVersion(),
					time.Since(began).Milliseconds())
				use(t, session, s)
				if err := session.Close(t.Context()); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
	}
}

// connect opens a session, patiently where the server announces an address before it listens there.
func connect(t *testing.T, target client.Target) (session *client.Session) {
	t.Helper()
	patiently(t, func() (err error) {
		session, err = client.Connect(t.Context(), target, client.Options{Logger: slog.New(slog.DiscardHandler),
			HandshakeTimeout: hang})
		var why *client.ConnectError
		if err == nil || target.URL != "" && errors.As(err, &why) && why.Reason == client.ReasonRefused {
			return err
		}
		t.Fatalf("connect: %v", err)
		return nil
	})
	t.Cleanup(func() { _ = session.Close(context.Background()) }) // the test has closed it, unless it failed
	return session
}

// use does with a server what a system does, over a session.
func use(t *testing.T, peer communicator.Peer, s server) {
	t.Helper()
	info := peer.Info()
	for _, name := range []string{"echo", "add", "fail", "slow", "nested", "count", "ask"} {
		if tool, ok := info.Tool(name); !ok || tool.Description == "" || !json.Valid(tool.InputSchema) {
			t.Fatalf("tool %s is not listed as it should be: %+v", name, info.Tools)
		}
	}
	if len(info.Prompts) != 1 || len(info.Resources) != 1 {
		t.Errorf("prompts %+v, resources %+v", info.Prompts, info.Resources)
	}
	for _, v := range values {
		checkEcho(t, peer, v)
	}
	if got, err := ask(t.Context(), peer, "add", map[string]any{"a": 2, "b": 3.5}); err != nil ||
		!strings.Contains(got.Text(), "5.5") {
		t.Errorf("add: %v %v", got, err)
	}
	if got, err := ask(t.Context(), peer, "fail", map[string]any{"message": "as asked"}); !errors.Is(err,
		agent.CodeToolFailed) || !strings.Contains(err.Error(), s.failText) {
		t.Errorf("fail: %v %v", got, err)
	}
	if got, err := ask(t.Context(), peer, "add", map[string]any{"a": "x"}); !errors.Is(err, agent.CodeToolFailed) &&
		!errors.Is(err, agent.CodeInvalidArgument) {
		t.Errorf("add with invalid arguments: %v %v", got, err)
	}
	if got, err := ask(t.Context(), peer, "no-such-tool", map[string]any{}); !errors.Is(err, agent.CodeToolFailed) &&
		!errors.Is(err, agent.CodeNotFound) {
		t.Errorf("a tool that does not exist: %v %v", got, err)
	}
	checkLate(t, peer)
	if got, err := ask(t.Context(), peer, "slow", map[string]any{"seconds": 0.05}); err != nil || got.Text() != "done" {
		t.Errorf("slow: %v %v", got, err)
	}
	checkNested(t, peer)
	checkTogether(t, peer)
	if !s.losesNotices {
		checkProgress(t, peer)
	}
	if !s.noSampling {
		checkSampling(t, peer)
	}
	checkPromptAndResource(t, peer)
}

// ask calls a tool.
func ask(ctx context.Context, peer communicator.Peer, tool string, in any, back ...agent.BackChannel) (*agent.Result,
	error) {
	raw, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, hang)
	defer cancel()
	c := &agent.Call{ID: "interop", Op: agent.OpTool, Agent: "peer", Name: tool, Input: raw, Attempt: 1}
	if len(back) > 0 {
		c.Back = back[0]
	}
	return peer.Call(ctx, c)
}

func checkEcho(t *testing.T, peer communicator.Peer, v any) {
	t.Helper()
	got, err := ask(t.Context(), peer, "echo", map[string]any{"message": v})
	if err != nil {
		t.Errorf("echo %v: %v", v, err)
		return
	}
	var out any
	if len(got.Content) != 1 || json.Unmarshal([]byte(got.Content[0].Text), &out) != nil ||
		!reflect.DeepEqual(out, map[string]any{"echoed": v}) {
		t.Errorf("echo %v: %+v", v, got)
	}
	// The same through the typed API, whatever the server's SDK made of it.
	var typed struct {
		Echoed any `json:"echoed"`
	}
	if err := got.Decode(&typed); err != nil || !reflect.DeepEqual(typed.Echoed, v) {
		t.Errorf("echo %v decodes as %v: %v", v, typed.Echoed, err)
	}
}

func checkLate(t *testing.T, peer communicator.Peer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if got, err := ask(ctx, peer, "slow", map[string]any{"seconds": 2}); !errors.Is(err, agent.CodeDeadlineExceeded) ||
		time.Since(began) > 10*time.Second {
		t.Errorf("slow beyond its deadline: %v %v after %s", got, err, time.Since(began))
	}
}

func checkNested(t *testing.T, peer communicator.Peer) {
	t.Helper()
	got, err := ask(t.Context(), peer, "nested", map[string]any{})
	if err != nil {
		t.Errorf("nested: %v", err)
		return
	}
	want := map[string]any{
		"grüße": []any{map[string]any{"日本": "語"}, map[string]any{"emoji": "🦊", "none": nil}},
		"depth": map[string]any{"a": map[string]any{"b": map[string]any{"c": []any{1.0, 2.5, true}}}},
	}
	var out any
	if err := got.Decode(&out); err != nil || !reflect.DeepEqual(out, want) {
		t.Errorf("nested: %+v: %v", got, err)
	}
}

func checkTogether(t *testing.T, peer communicator.Peer) {
	t.Helper()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			got, err := ask(t.Context(), peer, "echo", map[string]any{"message": i})
			if err != nil || !strings.Contains(got.Text(), fmt.Sprint(i)) {
				t.Errorf("one of 20 at once: %v %v", got, err)
			}
		})
	}
	all.Wait()
}

func checkProgress(t *testing.T, peer communicator.Peer) {
	t.Helper()
	var mu sync.Mutex
	var seen []float64
	back := agent.BackChannelFuncs{OnProgress: func(n agent.ProgressNotice) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, n.Progress)
	}}
	got, err := ask(t.Context(), peer, "count", map[string]any{"to": 5}, back)
	mu.Lock()
	defer mu.Unlock()
	if err != nil || len(seen) != 5 || seen[4] != 5 {
		t.Errorf("count: %v %v, progress %v", got, err, seen)
	}
}

// The server asks the model of the agent that called it.
func checkSampling(t *testing.T, peer communicator.Peer) {
	t.Helper()
	back := agent.BackChannelFuncs{Sample: func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
		return agent.SampleResult{Role: agent.RoleAssistant, Model: "parrot",
			Content: agent.Blocks{agent.Text("you asked " + r.Messages[0].Content.Text())}}, nil
	}}
	if got, err := ask(t.Context(), peer, "ask", map[string]any{"question": "why?"}, back); err != nil ||
		got.Text() != "the model says: you asked why?" {
		t.Errorf("ask: %v %v", got, err)
	}
	// Some servers pass our error on as their own, of JSON-RPC; what its data says is not believed.
	if got, err := ask(t.Context(), peer, "ask", map[string]any{"question": "why?"}); !errors.Is(err,
		agent.CodeToolFailed) {
		if code, _ := agent.AsError(err).RPCCode(); err == nil || code != -32603 {
			t.Errorf("ask a caller without a model: %v %v", got, err)
		}
	}
}

func checkPromptAndResource(t *testing.T, peer communicator.Peer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	res, err := peer.Call(ctx, &agent.Call{ID: "p", Op: agent.OpPrompt, Agent: "peer", Name: "greet",
		Input: json.RawMessage(`{"name":"Ada"}`), Attempt: 1})
	if err != nil {
		t.Errorf("prompt: %v", err)
	} else if p, err := res.Prompt(); err != nil || len(p.Messages) != 1 ||
		p.Messages[0].Content.Text != "Greet Ada, please." {
		t.Errorf("prompt: %+v %v", p, err)
	}
	res, err = peer.Call(ctx, &agent.Call{ID: "r", Op: agent.OpResource, Agent: "peer", Name: "note://today",
		Attempt: 1})
	if err != nil || len(res.Content) != 1 || res.Content[0].Resource == nil ||
		res.Content[0].Resource.Text != "Today is a good day." {
		t.Errorf("resource: %+v %v", res, err)
	}
}
