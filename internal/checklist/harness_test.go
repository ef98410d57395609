package checklist

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/mcptest"
	"github.com/openmas/openmas/runtime/project"
)

func TestChecklist33(t *testing.T) { // the harness notices an early exit, and shows what was printed
	for _, over := range both {
		o := command("run", "absent.yaml")
		o.Transport, o.Args = over, []string{"--log-level", "debug"}
		began := time.Now()
		_, err := mcptest.Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "absent.yaml: there is no such file") ||
			time.Since(began) > 10*time.Second {
			t.Errorf("over %s: %v", over, err)
		}
	}
}

func TestChecklist34(t *testing.T) { // it waits for the readiness line, for a time
	o := command()
	o.Env[roleVar], o.Transport, o.ReadyTimeout = "mute", mcp.SSE, 300*time.Millisecond
	if _, err := mcptest.Run(t.Context(), o); err == nil {
		t.Error("a server that never says its address is ready")
	}
	o.Transport, o.ReadyTimeout = mcp.Stdio, 30*time.Second // where it prints that it is ready, and nothing else
	s := start(t, o)
	// the line is noted just after it was recognised
	testkit.Eventually(t, "output", func() bool { return len(s.Output()) > 0 })
	if out := s.Output(); out[0] != "STDIO_SERVER_READY" {
		t.Errorf("%q", out)
	}
}

func TestChecklist35(t *testing.T) { // then it tries GET /sse; retries are tested in mcp/mcptest
	_, log := logged(t)
	if !regexp.MustCompile(`attempt \d+: GET http://127\.0\.0\.1:\d+/agents/guide/sse: it answers`).MatchString(log()) {
		t.Error(log())
	}
}

func TestChecklist36(t *testing.T) { // it exposes URL and process, and logs each attempt
	s, log := logged(t)
	if s.URL() == "" || s.Pid() == 0 ||
		!strings.Contains(log(), fmt.Sprintf("ready: process %d at %s", s.Pid(), s.URL())) {
		t.Errorf("url %q, pid %d\n%s", s.URL(), s.Pid(), log())
	}
}

func TestChecklist37(t *testing.T) { // cleanup, the process group included
	o := command("run", projectFile(t, "agents:\n  guide: {type: guide, communicator: mcp-stdio}\ngateway: {}\n"),
		"--listen", "127.0.0.1:0")
	o.Transport = mcp.SSE
	for name, end := range map[string]func(*mcptest.Server){"stop": func(s *mcptest.Server) {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}, "kill": (*mcptest.Server).Kill} {
		s := start(t, o)
		child := status(t, s).Agents[0].Instances[0].PID
		if child == 0 {
			t.Fatal("the agent has no process")
		}
		began := time.Now()
		end(s)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %v", name, took)
		}
		testkit.Eventually(t, name+": its child is gone", func() bool { return gone(child) })
		if !gone(s.Pid()) {
			t.Errorf("%s: the server is still there", name)
		}
	}
}

func TestChecklist38(t *testing.T) { // free ports
	if a, b := serve(t, mcp.SSE).URL(), serve(t, mcp.SSE).URL(); a == b {
		t.Error(a)
	}
}

func TestChecklist39(t *testing.T) { // echo of the basic types over SSE and stdio
	for _, over := range both {
		echoes(t, over)
	}
}

func TestChecklist40(t *testing.T) { // a clean disconnect
	for _, over := range both {
		s := serve(t, over)
		cs := s.Connect(t)
		call(t, cs, name(over, "text"), nil)
		if err := cs.Close(); err != nil {
			t.Errorf("%s: %v", over, err)
		}
		if over == mcp.SSE {
			testkit.Eventually(t, "the session ends", func() bool { return status(t, s).Gateway.Sessions["sse"] == 0 })
		} else {
			<-s.Done()
			if s.Err() != nil {
				t.Error(s.Err())
			}
		}
	}
}

func TestChecklist41(t *testing.T) { // an abrupt disconnect after a call, then a new client works
	s := serve(t, mcp.SSE)
	r := dialRaw(t, s.URL())
	if err := r.echo("x"); err != nil {
		t.Fatal(err)
	}
	r.break_()
	if got := text(t, call(t, s.Connect(t), "text", nil)); got == "" {
		t.Error("nothing")
	}
}

// flock has n clients at once connect, call and leave, every other one abruptly.
func flock(t *testing.T, url string, n int) {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}
	defer tr.CloseIdleConnections()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			r, err := openRaw(url, &http.Client{Transport: tr})
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			if err := r.echo(strconv.Itoa(i)); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			if i%2 == 0 {
				r.close()
			} else {
				r.break_()
			}
		})
	}
	all.Wait()
}

func TestChecklist42(t *testing.T) { // 10 concurrent clients, and 1,000
	r, _ := system(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		MCP:    project.MCP{MaxSessions: 2000},
		Agents: map[string]project.Agent{"guide": {Type: "guide"}}})
	url := r.Status().URL
	flock(t, url, 10)
	testkit.Eventually(t, "the sessions are gone", func() bool { return r.Status().Gateway.Sessions["sse"] == 0 })
	goroutines, files := goruntime.NumGoroutine(), descriptors(os.Getpid())
	began := time.Now()
	flock(t, url, 1000)
	took := time.Since(began)
	testkit.Eventually(t, "the sessions are gone", func() bool { return r.Status().Gateway.Sessions["sse"] == 0 })
	testkit.Eventually(t, "goroutines and files are back", func() bool {
		return goruntime.NumGoroutine() <= goroutines+10 && descriptors(os.Getpid()) <= files+10
	})
	t.Logf("1000 clients, half of them leaving abruptly: %v; goroutines %d -> %d, files %d -> %d",
		took.Round(time.Millisecond), goroutines, goruntime.NumGoroutine(), files, descriptors(os.Getpid()))
}

// rss is the resident memory of a process in KiB; 0 where that cannot be known.
func rss(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1])) // the expression has digits only
	return n
}

// TestIdleSessions prints what an idle SSE session costs. CHECKLIST_IDLE sets how many there are.
func TestIdleSessions(t *testing.T) {
	n := 500
	if v := os.Getenv("CHECKLIST_IDLE"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, mcp.SSE, "--set", "mcp.max_sessions=10000")
	if rss(s.Pid()) == 0 {
		t.Skip("the memory of a process cannot be read here")
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 32, MaxConnsPerHost: 32}
	defer tr.CloseIdleConnections()
	before := rss(s.Pid())
	began := time.Now()
	clients := make([]*rawClient, n)
	for i := range clients {
		var err error
		if clients[i], err = openRaw(s.URL(), &http.Client{Transport: tr}); err != nil {
			t.Fatal(err)
		}
		defer clients[i].close()
	}
	took := time.Since(began)
	if got := status(t, s).Gateway.Sessions["sse"]; got != n {
		t.Errorf("%d sessions", got)
	}
	each := float64(rss(s.Pid())-before) / float64(n)
	t.Logf("%d idle SSE sessions in %v: %.1f KiB of memory each", n, took.Round(time.Millisecond), each)
	if n >= 5000 && each > 70 && !raced {
		t.Errorf("an idle session costs %.1f KiB, over 70", each)
	}
	if err := clients[n-1].echo("still there"); err != nil {
		t.Error(err)
	}
}

func TestChecklist43(t *testing.T) { // a missing tool skips with a reason, and fails where CI asks for it
	if path := mcptest.Require(t, "go"); path == "" {
		t.Error("go is not found")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// One test runs alone.
	out, err := exec.CommandContext(t.Context(), exe, "-test.run", "^TestChecklist38$", "-test.v").CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 1 {
		t.Errorf("%v\n%s", err, out)
	}
}

// elsewhere checks that a test that another package has is still there.
func elsewhere(t *testing.T, dir, test string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+test+"(t *testing.T)") {
			return
		}
	}
	t.Errorf("%s has no %s", dir, test)
}

func TestChecklist28(t *testing.T) { // a failure while a connection is set up; it cannot be caused from outside
	elsewhere(t, "mcp/internal/wire", "TestChecklist28")
}

func TestChecklist44(t *testing.T) { // the MCP Inspector lists and calls: make interop
	elsewhere(t, "internal/interop", "TestInspector")
}

func TestChecklist45(t *testing.T) { // minimal standalone examples of a server and a client
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	bin := filepath.Join(t.TempDir(), "hello"+map[bool]string{true: ".exe"}[goruntime.GOOS == "windows"])
	build := exec.CommandContext(ctx, mcptest.Require(t, "go"), "build", "-o", bin, "../../examples/01-hello")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := start(t, mcptest.Options{Command: []string{bin, "run", "--listen", "127.0.0.1:0", "openmas.yaml"},
		Dir: "../../examples/01-hello", Transport: mcp.SSE,
		Args: []string{"--set", "state=" + t.TempDir()}})
	client := exec.CommandContext(ctx, bin, "call", "host.welcome", "name=Ada", "--url", s.URL())
	if out, err := client.CombinedOutput(); err != nil || !strings.Contains(string(out), "Ada") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestChecklist46(t *testing.T) { // the docs list what is supported, and how that is tested
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "mcp.md"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"stdio", "HTTP+SSE", "streamable HTTP", "how it is tested", "make interop", "internal/checklist"}
	for _, v := range sdk.SupportedProtocolVersions() {
		if v <= "2025-11-25" {
			want = append(want, v)
		}
	}
	for _, w := range want {
		if !strings.Contains(string(text), w) {
			t.Errorf("docs/reference/mcp.md does not say %s", w)
		}
	}
}
