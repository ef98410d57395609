package checklist

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bytes"
	"io"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// system runs a project in this process; the context calls its agents.
func system(t *testing.T, cfg *project.Config) (*runtime.Runtime, context.Context) {
	t.Helper()
	cfg.Dir = t.TempDir()
	types := agent.Types{"guide": func() agent.Agent { return &guide{} }}
	r, err := runtime.New(cfg, types, runtime.Options{Logger: slog.New(slog.DiscardHandler), Output: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-r.Ready():
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return r, agent.WithEnv(t.Context(), agent.Env{Name: "test", Directory: r.Directory()})
}

// far is a project whose only agent is the guide at a URL.
func far(url string) *project.Config {
	return &project.Config{Agents: map[string]project.Agent{"far": {URL: url}}}
}

func TestChecklist14(t *testing.T) { // a URL without /sse is completed
	s := serve(t, mcp.SSE)
	one, err := client.Connect(t.Context(), client.Target{Transport: mcp.SSE, URL: s.URL()}, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Close(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = client.Connect(t.Context(), client.Target{Transport: mcp.SSE, URL: s.URL() + "/mcp"}, client.Options{})
	if err == nil || !strings.Contains(err.Error(), "speaks") && !strings.Contains(err.Error(), "SSE") {
		t.Errorf("no clear message for a wrong path: %v", err)
	}
}

// launched is a server on stdio that we start ourselves.
func launched(t *testing.T, role string) client.Target {
	o := command("run", projectFile(t, yaml), "--stdio", "--listen", "127.0.0.1:0")
	return client.Target{Name: "guide", Transport: mcp.Stdio, Command: o.Command, Env: map[string]string{roleVar: role}}
}

func TestChecklist15(t *testing.T) { // a stdio client launches the server
	s, err := client.Connect(t.Context(), launched(t, "openmas"), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Pid() == 0 {
		t.Error("no process")
	}
	if res, err := invoke(t.Context(), s, "guide_text", struct{}{}); err != nil || res.Text() != `plain "text"` {
		t.Errorf("%+v, %v", res, err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestChecklist16(t *testing.T) { // initialize has a timeout
	_, err := client.Connect(t.Context(), launched(t, "mute"), client.Options{HandshakeTimeout: 300 * time.Millisecond,
		StdinGrace: time.Millisecond})
	var why *client.ConnectError
	if !errors.As(err, &why) || why.Reason != client.ReasonTimeout {
		t.Error(err)
	}
	if d := project.Default().Connect.Timeout; d < 10*time.Second || d > 15*time.Second {
		t.Errorf("by default it is %v", d)
	}
}

func TestChecklist17(t *testing.T) { // every call has a timeout
	s := serve(t, mcp.SSE)
	cfg := far(s.URL() + "/agents/guide/sse")
	a := cfg.Agents["far"]
	a.Timeout = 200 * time.Millisecond
	cfg.Agents["far"] = a
	_, ctx := system(t, cfg)
	if _, err := agent.Ask[string](ctx, "far.wait", wait{60_000}); agent.CodeOf(err) != agent.CodeDeadlineExceeded {
		t.Error(err)
	}
	if project.Default().Defaults.Timeout <= 0 {
		t.Error("there is none by default")
	}
}

func gone(pid int) bool {
	p, err := os.FindProcess(pid)
	return err != nil || p.Signal(syscall.Signal(0)) != nil
}

func TestChecklist18(t *testing.T) { // everything is released, whatever happens; TestMain looks for goroutines
	s, err := client.Connect(t.Context(), launched(t, "openmas"), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := invoke(ctx, s, "guide_wait", wait{60_000})
		done <- err
	}()
	pid := s.Pid()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the call ended well")
	}
	cancel()
	if !gone(pid) {
		t.Error("the process is still there")
	}
}

func TestChecklist19(t *testing.T) { // isError, then content, then its type
	_, ctx := system(t, far(serve(t, mcp.SSE).URL()+"/agents/guide/sse"))
	if got, err := agent.Ask[string](ctx, "far.text", nil); err != nil || got != `plain "text"` {
		t.Error(got, err)
	}
	if _, err := agent.Ask[string](ctx, "far.fail", nil); agent.CodeOf(err) != agent.CodeToolFailed ||
		!strings.Contains(err.Error(), "as asked") {
		t.Error(err)
	}
	if _, err := agent.Ask[int](ctx, "far.text", nil); err == nil {
		t.Error("a text was taken for a number")
	}
	var none agent.Result
	if err := none.Decode(new(agent.Content)); err == nil {
		t.Error("nothing was taken for a content block")
	}
}

func TestChecklist20(t *testing.T) { // errors are distinguished, cancellation propagates
	_, err := client.Connect(t.Context(), client.Target{Transport: mcp.SSE, URL: "http://127.0.0.1:1"},
		client.Options{})
	var why *client.ConnectError
	if !errors.As(err, &why) || why.Reason != client.ReasonRefused {
		t.Errorf("refused: %v", err)
	}
	srv := serve(t, mcp.SSE)
	target := client.Target{Name: "guide", Transport: mcp.SSE, URL: srv.URL() + "/agents/guide/sse",
		Trusted: true} // the codes of its errors are believed
	s, err := client.Connect(t.Context(), target, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	if _, err := invoke(t.Context(), s, "absent", nil); agent.CodeOf(err) != agent.CodeNotFound {
		t.Errorf("an unknown tool: %v", err)
	}
	if _, err := invoke(t.Context(), s, "echo",
		map[string]any{"mesage": 1}); agent.CodeOf(err) != agent.CodeInvalidArgument {
		t.Errorf("wrong arguments: %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := invoke(late, s, "wait", wait{60_000}); agent.CodeOf(err) != agent.CodeDeadlineExceeded {
		t.Errorf("too late: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := invoke(ctx, s, "wait", wait{60_000})
		done <- err
	}()
	running := func() int { return status(t, srv).Gateway.Calls - 1 } // the question is a call itself
	testkit.Eventually(t, "the call runs", func() bool { return running() == 1 })
	stop()
	if err := <-done; agent.CodeOf(err) != agent.CodeCanceled {
		t.Errorf("cancelled: %v", err)
	}
	testkit.Eventually(t, "the tool is cancelled", func() bool { return running() == 0 })
}

func TestChecklist21(t *testing.T) { // sessions are pooled
	s := serve(t, mcp.SSE)
	_, ctx := system(t, far(s.URL()+"/agents/guide/sse"))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := agent.Ask[map[string]any](ctx, "far.echo", anything{1}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := status(t, s).Gateway.Sessions["sse"]; n != 1 {
		t.Errorf("50 calls took %d sessions", n)
	}
}

func TestChecklist22(t *testing.T) { // transient failures are tried again, with backoff
	target, err := url.Parse(serve(t, mcp.SSE).URL())
	if err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			if bytes.Contains(body, []byte("tools/call")) && refused.Add(1) <= 2 {
				http.Error(w, "busy", http.StatusServiceUnavailable)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.Host = target.Host
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.CloseClientConnections(); front.Close() })
	cfg := far(front.URL + "/agents/guide/mcp")
	cfg.Defaults.Retry = project.Retry{Initial: 5 * time.Millisecond, Max: 20 * time.Millisecond}
	r, ctx := system(t, cfg)
	if _, err := agent.Ask[map[string]any](ctx, "far.echo", anything{json.RawMessage("1")}); err != nil {
		t.Error(err)
	}
	if n := r.Status().Agents[0].Retries; n != 2 {
		t.Errorf("%d retries", n)
	}
}
