package mcptest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/mcptest"
)

// roleVar makes the test binary one of the servers below.
const roleVar = "MCPTEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(serve(role))
	}
	if testkit.OnlyProcesses() {
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")) // idle connections of the SDK's default client
}

type echoed struct {
	Message any `json:"message"`
}

func server() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "echo", Version: "1"}, nil)
	sdk.AddTool(s, &sdk.Tool{Name: "echo"},
		func(_ context.Context, _ *sdk.CallToolRequest, in echoed) (*sdk.CallToolResult, any, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fmt.Sprint(in.Message)}}}, nil, nil
		})
	return s
}

func serve(role string) int {
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	switch role {
	case "stdio":
		fmt.Fprintln(os.Stderr, "STDIO_SERVER_READY")
		if err := server().Run(stop, &sdk.StdioTransport{}); err != nil && stop.Err() == nil {
			return 1
		}
	case "http", "slow", "stubborn":
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 1
		}
		addr := ln.Addr().String()
		if role == "slow" { // announces before it listens, and answers 503 first
			_ = ln.Close()
			fmt.Fprintf(os.Stderr, "SSE_SERVER_URL=http://%s\\n", addr)
			time.Sleep(100 * time.Millisecond)
			if ln, err = net.Listen("tcp", addr); err != nil {
				return 1
			}
		}
		early := role == "slow"
		var mu sync.Mutex
		sse := sdk.NewSSEHandler(func(*http.Request) *sdk.Server { return server() }, nil)
		mux := http.NewServeMux()
		mux.HandleFunc("/sse", func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			refuse := early
			early = false
			mu.Unlock()
			if refuse {
				http.Error(w, "starting", http.StatusServiceUnavailable)
				return
			}
			sse.ServeHTTP(w, r)
		})
		mux.Handle("/mcp", sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server() }, nil))
		if role != "slow" {
			fmt.Fprintf(os.Stderr, "args: %s\nSSE_SERVER_URL=http://%s\n", strings.Join(os.Args[1:], " "), addr)
		}
		go func() { _ = http.Serve(ln, mux) }()
		<-stop.Done()
		if role == "stubborn" {
			select {}
		}
	case "mute":
		fmt.Fprintln(os.Stderr, "thinking")
		<-stop.Done()
	case "broken":
		fmt.Fprintln(os.Stderr, "no module named mcp")
		return 3
	}
	return 0
}

func role(name string, transport mcp.Transport) mcptest.Options {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return mcptest.Options{Command: []string{exe}, Transport: transport,
		Env: map[string]string{roleVar: name, "GORACE": testkit.NoExitSleep}}
}

func TestServersOfEveryTransport(t *testing.T) {
	for name, o := range map[string]mcptest.Options{"stdio": role("stdio", ""), "sse": role("http", mcp.SSE),
		"http": role("http", mcp.Streamable), "slow": role("slow", mcp.SSE)} {
		t.Run(name, func(t *testing.T) {
			o.Args = []string{"--level", "debug"}
			s := mcptest.Start(t, o)
			if (s.URL() == "") != (name == "stdio") || s.Pid() == 0 || s.Err() != nil {
				t.Errorf("url %q, pid %d, %v", s.URL(), s.Pid(), s.Err())
			}
			res, err := s.Connect(t).CallTool(t.Context(), &sdk.CallToolParams{Name: "echo", Arguments: echoed{"hi"}})
			if err != nil || res.IsError || res.Content[0].(*sdk.TextContent).Text != "hi" {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := s.Transport(); (err != nil) != (name == "stdio") {
				t.Errorf("a second client: %v", err)
			}
			if name == "http" && !strings.Contains(strings.Join(s.Output(), "\n"), "args: --level debug") {
				t.Errorf("output: %q", s.Output())
			}
		})
	}
}

func TestServersThatDoNotStart(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"broken": "no module named mcp", "mute": "thinking", "absent": "absent"} {
		for _, transport := range []mcp.Transport{mcp.Stdio, mcp.SSE} {
			t.Run(name+" over "+string(transport), func(t *testing.T) {
				t.Parallel()
				o := role(name, transport)
				if name == "absent" {
					o.Command = []string{"./absent"}
				}
				if name == "mute" { // its first word has to come meanwhile
					testkit.Longer(t, "its word is in the error", time.Second, func(d time.Duration) bool {
						o.ReadyTimeout = d
						_, err := mcptest.Run(t.Context(), o)
						if err == nil {
							t.Fatal("it is ready")
						}
						return strings.Contains(err.Error(), want)
					})
					return
				}
				o.ReadyTimeout = testkit.Hang
				began := time.Now()
				if _, err := mcptest.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
					t.Error(err)
				}
				if took := time.Since(began); took >= testkit.Hang {
					t.Errorf("it took %v to notice", took)
				}
			})
		}
	}
	if _, err := mcptest.Run(t.Context(), mcptest.Options{}); err == nil {
		t.Error("no command")
	}
}

func TestAttemptsAreLogged(t *testing.T) {
	r, w := io.Pipe()
	o := role("slow", mcp.SSE)
	o.Logf = func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	lines := make(chan string, 1000)
	go func() {
		for in := bufio.NewScanner(r); in.Scan(); {
			lines <- in.Text()
		}
		close(lines)
	}()
	s := mcptest.Start(t, o)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	_ = w.Close()
	var all strings.Builder
	for line := range lines {
		all.WriteString(line + "\n")
	}
	for _, want := range []string{"attempt 1: GET " + s.URL() + "/sse: ", "503 Service Unavailable", "it answers",
		"server: SSE_SERVER_URL="} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in\n%s", want, all.String())
		}
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	o := role("stubborn", mcp.SSE)
	o.StopTimeout = 300 * time.Millisecond
	s, err := mcptest.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("%v", err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("it is still there")
	}
	crashed := mcptest.Start(t, role("http", mcp.SSE))
	crashed.Kill()
	if crashed.Err() == nil {
		t.Error("a crash is no clean end")
	}
}

// recorder is a test that is only watched.
type recorder struct {
	testing.TB
	verdict string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Fatalf(f string, a ...any) { r.verdict = "failed: " + fmt.Sprintf(f, a...) }
func (r *recorder) Skipf(f string, a ...any)  { r.verdict = "skipped: " + fmt.Sprintf(f, a...) }

func TestRequire(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped: no-such-tool", "true": "failed: no-such-tool"} {
		t.Setenv("CI", ci)
		r := &recorder{}
		if path := mcptest.Require(r, "no-such-tool"); path != "" || !strings.HasPrefix(r.verdict, want) {
			t.Errorf("CI=%q: %q, %q", ci, path, r.verdict)
		}
	}
	if r := (&recorder{}); mcptest.Require(r, "go") == "" || r.verdict != "" {
		t.Error(r.verdict)
	}
}
