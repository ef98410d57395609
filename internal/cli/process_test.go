//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
)

// process is the openmas program of these tests as a process of its own.
type process struct {
	*exec.Cmd
	t     *testing.T
	in    io.WriteCloser
	err   testkit.Buffer
	ended chan struct{}
}

// program prepares a process; its standard output goes to out.
func program(t *testing.T, out io.Writer, args ...string) *process {
	t.Helper()
	testkit.Processes(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(exe, args...), t: t, ended: make(chan struct{})}
	p.Env = append(os.Environ(), mainVar+"=1")
	p.Stdout, p.Stderr = out, &p.err
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) start() {
	p.t.Helper()
	// Below nohup, SIGHUP is ignored, and programs inherit that. What is handled they do not.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // the exit code says it
	}()
	p.t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			_ = p.Process.Kill()
			<-p.ended
		}
	})
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatalf("%v: %v\n%s", s, err, &p.err)
	}
}

// code waits for the end.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode()
	case <-time.After(hang):
		p.t.Fatalf("the process does not end\n%s", &p.err)
		return -1
	}
}

// The first signal lets a call in flight end, and refuses new ones.
func TestSignalDrains(t *testing.T) {
	path := projectFile(t, "agents: {worker: {type: worker}}")
	p := program(t, io.Discard, "run", path, "--listen", "127.0.0.1:0")
	p.start()
	url := p.err.Await(t, "SSE_SERVER_URL=")
	answer := make(chan result, 1)
	go func() {
		answer <- runWith(context.Background(), "", nil, "call", "worker.wait", "--url", url)
	}()
	p.err.Await(t, "msg=waiting")
	p.signal(syscall.SIGTERM)
	p.err.Await(t, "msg=stopping")
	if r := run(t, "", "call", "worker.print", "--url", url); r.code != exitFailed || r.out != "" {
		t.Errorf("a call after the signal: %+v", r)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".openmas", "openmas", "agents", "worker", "release"), nil,
		0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-answer:
		if r.code != exitOK || r.out != "released\n" {
			t.Errorf("the call in flight: %+v", r)
		}
	case <-time.After(hang):
		t.Fatalf("the call in flight hangs\n%s", &p.err)
	}
	if code := p.code(); code != exitOK || !strings.Contains(p.err.String(), "msg=stopped") {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
}

// The second signal ends at once, whatever hangs.
func TestSecondSignal(t *testing.T) {
	p := program(t, io.Discard, "run", projectFile(t, "agents: {worker: {type: worker}}"), "--listen", "127.0.0.1:0")
	p.start()
	url := p.err.Await(t, "SSE_SERVER_URL=")
	ctx, cancel := context.WithCancel(context.Background())
	called := make(chan result, 1)
	go func() { called <- runWith(ctx, "", nil, "call", "worker.hang", "--url", url) }()
	p.err.Await(t, "msg=hanging")
	p.signal(syscall.SIGINT)
	p.err.Await(t, "msg=stopping")
	p.signal(syscall.SIGTERM)
	if code := p.code(); code != 130 {
		t.Errorf("exit %d, want 130\n%s", code, &p.err)
	}
	cancel()
	if r := <-called; r.code != exitFailed {
		t.Errorf("the call that hung: %+v", r)
	}
}

// stubborn is an MCP server that has started another program, whose number is in the file pid, and
// heeds neither the end of its input nor SIGTERM.
const stubborn = `sleep 1000 & echo $! > pid; trap '' TERM
while read -r line; do
	id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
	case "$line" in *'"initialize"'*)
		printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18",' "$id"
		echo '"capabilities":{},"serverInfo":{"name":"sh","version":"1"}}}'
	esac
done
sleep 1000
`

// The second signal leaves nothing behind that a program has started.
func TestSecondSignalKillsEverything(t *testing.T) {
	path := projectFile(t, "agents: {far: {command: [sh, stubborn.sh]}}")
	dir := filepath.Dir(path)
	if err := os.WriteFile(filepath.Join(dir, "stubborn.sh"), []byte(stubborn), 0o600); err != nil {
		t.Fatal(err)
	}
	p := program(t, io.Discard, "run", path, "--listen", "127.0.0.1:0")
	p.start()
	p.err.Await(t, "SSE_SERVER_URL=")
	raw, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || syscall.Kill(pid, 0) != nil {
		t.Fatal(pid, err)
	}
	p.signal(syscall.SIGINT)
	p.err.Await(t, "msg=stopping")
	p.signal(syscall.SIGINT)
	if code := p.code(); code != exitAborted {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
	testkit.Eventually(t, "the program's program is gone", func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return syscall.Kill(pid, 0) != nil || err == nil && strings.Contains(string(stat), ") Z ") // nobody may reap it
	})
}

// A signal during the start is no failure.
func TestASignalDuringTheStart(t *testing.T) {
	p := program(t, io.Discard, "run", projectFile(t, "agents: {mute: {command: [sleep, '1000']}}"))
	p.start()
	p.err.Await(t, "the start waits") // it says so after a while
	p.signal(syscall.SIGINT)
	if code := p.code(); code != exitOK || !strings.Contains(p.err.String(), "start given up") {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
}

// Over --stdio any MCP client reaches the agents; standard output carries nothing but MCP; the end
// of stdin ends the system.
func TestRunStdio(t *testing.T) {
	fromServer, toClient := io.Pipe()
	var all bytes.Buffer
	p := program(t, io.MultiWriter(&all, toClient), "run", projectFile(t, crew+"  worker: {type: worker, "+
		"communicator: mcp-stdio}\n  near: {type: worker}\n"), "--stdio")
	p.start()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	client := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	// 1.6.0 of the Python SDK is not the only client that wants a version to be named
	s, err := client.Connect(ctx, &sdk.IOTransport{Reader: fromServer, Writer: p.in},
		&sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatalf("connect: %v\n%s", err, &p.err)
	}
	p.err.Await(t, "STDIO_SERVER_READY")
	for _, name := range []string{"worker_print", "near_print"} {
		if _, err := s.CallTool(ctx, &sdk.CallToolParams{Name: name}); err != nil {
			t.Errorf("%s: %v\n%s", name, err, &p.err)
		}
	}
	res, err := s.CallTool(ctx, &sdk.CallToolParams{Name: "host_welcome", Arguments: map[string]any{"name": "Ada"}})
	if err != nil || len(res.Content) != 1 || res.Content[0].(*sdk.TextContent).Text != "Good morning, Ada!" {
		t.Errorf("host_welcome: %+v, %v", res, err)
	}
	if err := p.in.Close(); err != nil {
		t.Error(err)
	}
	if code := p.code(); code != exitOK {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
	if err := toClient.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Wait(); err != nil && !errors.Is(err, io.EOF) {
		t.Logf("the session ended with: %v", err)
	}
	for lines := bufio.NewScanner(&all); lines.Scan(); {
		var m struct{ JSONRPC string }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.JSONRPC != "2.0" {
			t.Errorf("no MCP on standard output: %s", lines.Text())
		}
	}
	if n := strings.Count(p.err.String(), "a stray print"); n != 2 {
		t.Errorf("the stray prints are %d times in the log:\n%s", n, &p.err)
	}
}

// A client that closes standard error before stdin cuts nothing off: the exit code is 0.
func TestClientClosesStandardError(t *testing.T) {
	p := program(t, io.Discard, "run", projectFile(t, crew), "--stdio")
	stderr, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stderr = write
	p.start()
	_ = write.Close() // the process has its own
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && lines.Text() != mcp.StdioReady {
		continue
	}
	_ = stderr.Close() // from here on nobody reads it
	_ = p.in.Close()
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
	if p.ProcessState.ExitCode() != 0 {
		t.Errorf("ended by %s", p.ProcessState)
	}
}

// SIGTERM ends --stdio as well, though stdin stays open.
func TestRunStdioSIGTERM(t *testing.T) {
	p := program(t, io.Discard, "run", projectFile(t, crew), "--stdio")
	p.start()
	p.err.Await(t, "STDIO_SERVER_READY")
	p.signal(syscall.SIGTERM)
	if code := p.code(); code != exitOK {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
}

// A server program needs no project: list and call start it, call it and stop it.
func TestCommand(t *testing.T) {
	testkit.Processes(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := "env " + mainVar + "=1 '" + exe + "' run '" + projectFile(t, crew) + "' --stdio"
	if r := run(t, "", "call", "greeter_greet", "name=Ada", "--command", server); r.code != exitOK ||
		r.out != "Good morning, Ada!\n" || !strings.Contains(r.err, "STDIO_SERVER_READY") {
		t.Errorf("call: %+v", r)
	}
	if r := run(t, "", "list", "--command", server); r.code != exitOK ||
		!strings.Contains(r.out, "greeter.greet(name, loud?)") {
		t.Errorf("list: %+v", r)
	}
	if r := run(t, "", "list", "--command", "sh -c 'echo no license >&2; exit 3'"); r.code != exitFailed ||
		!strings.Contains(r.err, "exited with code 3") || !strings.Contains(r.err, "no license") {
		t.Errorf("a program that ends: %+v", r)
	}
}
