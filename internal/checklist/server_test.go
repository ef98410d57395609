package checklist

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/mcp"
)

// both are the transports of the guide.
var both = []mcp.Transport{mcp.SSE, mcp.Stdio}

func TestChecklist01(t *testing.T) { // a named server, a log level
	for level, debug := range map[string]bool{"debug": true, "info": false} {
		o := command("run", projectFile(t, yaml), "--stdio", "--listen", "127.0.0.1:0", "--log-level", level)
		var printed bytes.Buffer
		o.Logf = func(_ string, args ...any) {
			if len(args) > 0 {
				if line, ok := args[0].([]byte); ok {
					printed.Write(line)
				}
			}
		}
		o.Transport = mcp.Stdio
		s := start(t, o)
		if got := s.Connect(t).InitializeResult().ServerInfo.Name; got != "guide" {
			t.Errorf("the server is called %q", got)
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if got := strings.Contains(printed.String(), "level=DEBUG"); got != debug {
			t.Errorf("at level %s, debug lines: %t", level, got)
		}
	}
}

// values are of every sort that JSON has.
var values = []any{"text", "Zürich 🚀", 7.0, 2.5, true, nil, []any{1.0, "two", nil},
	map[string]any{"a": map[string]any{"b": []any{1.0}}}, ""}

func echoes(t *testing.T, over mcp.Transport) {
	t.Helper()
	cs := serve(t, over).Connect(t)
	for _, v := range values {
		res := call(t, cs, name(over, "echo"), anything{v})
		var got map[string]any
		if err := json.Unmarshal([]byte(text(t, res)), &got); err != nil || res.IsError ||
			!reflect.DeepEqual(got, map[string]any{"echoed": v}) {
			t.Errorf("%v over %s: %s, %v", v, over, text(t, res), err)
		}
	}
}

func TestChecklist02(t *testing.T) { echoes(t, mcp.Streamable) } // echo of any JSON

func TestChecklist03(t *testing.T) { // a string is one text block, never wrapped twice
	cs := serve(t, mcp.SSE).Connect(t)
	for tool, want := range map[string]string{"text": `plain "text"`, "map": `{"a":1}`, "list": `[1,"two"]`,
		"number": "7"} {
		if got := text(t, call(t, cs, tool, nil)); got != want {
			t.Errorf("%s: %s", tool, got)
		}
	}
}

func TestChecklist04(t *testing.T) { // an error is an isError result
	for _, over := range both {
		cs := serve(t, over).Connect(t)
		for _, tool := range []string{"fail", "panic"} {
			if res := call(t, cs, name(over, tool), nil); !res.IsError || text(t, res) == "" {
				t.Errorf("%s over %s: %+v", tool, over, res)
			}
		}
		if res := call(t, cs, name(over, "text"), nil); res.IsError {
			t.Errorf("the next call over %s: %s", over, text(t, res))
		}
	}
}

// firstEvent reads the endpoint from a stream.
func firstEvent(t *testing.T, res *http.Response) (event, data string) {
	t.Helper()
	for in := bufio.NewScanner(res.Body); in.Scan() && in.Text() != ""; {
		if v, ok := strings.CutPrefix(in.Text(), "event: "); ok {
			event = v
		}
		if v, ok := strings.CutPrefix(in.Text(), "data: "); ok {
			data = v
		}
	}
	return event, data
}

func TestChecklist05(t *testing.T) { // GET /sse, the first event, a loop for each connection
	s := serve(t, mcp.SSE)
	seen := map[string]bool{}
	for range 3 {
		res, _ := request(t, http.MethodGet, s.URL()+"/sse", "")
		event, data := firstEvent(t, res)
		if event != "endpoint" || !strings.HasPrefix(data, "/messages/?session_id=") || seen[data] {
			t.Errorf("event %q, data %q", event, data)
		}
		seen[data] = true
	}
}

func TestChecklist06(t *testing.T) { // POST /messages/
	s := serve(t, mcp.SSE)
	res, _ := request(t, http.MethodGet, s.URL()+"/sse", "")
	_, endpoint := firstEvent(t, res)
	for path, want := range map[string]int{endpoint: 202, "/messages/": 400,
		"/messages/?session_id=0123456789abcdef0123456789abcdef": 404, "/messages/?session_id=": 400} {
		// a refusal has a reason, a receipt is empty
		if res, body := request(t, http.MethodPost, s.URL()+path,
			`{"jsonrpc":"2.0","id":1,"method":"ping"}`); res.StatusCode != want ||
			(body == "") != (want == http.StatusAccepted) {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
	}
}

func TestChecklist07(t *testing.T) { // GET / is health, as JSON
	res, body := request(t, http.MethodGet, serve(t, mcp.SSE).URL()+"/", "")
	var health map[string]any
	if err := json.Unmarshal([]byte(body), &health); err != nil || res.StatusCode != 200 || health["status"] != "ok" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// run is the command in a process that ends by itself.
func run(t *testing.T, in string, args ...string) (out, errOut string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	o := command(args...)
	c := exec.CommandContext(ctx, o.Command[0], o.Command[1:]...)
	c.Env = append(os.Environ(), roleVar+"=openmas")
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(in), &stdout, &stderr
	err := c.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return stdout.String(), stderr.String(), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), 0
}

func TestChecklist08(t *testing.T) { // the address, and its default
	out, errOut, code := run(t, "", "validate", projectFile(t, yaml), "--print")
	if code != 0 || !strings.Contains(out, `listen: "127.0.0.1:8765"`) {
		t.Errorf("exit %d: %s%s", code, out, errOut)
	}
	if url := serve(t, mcp.SSE).URL(); !strings.HasPrefix(url, "http://127.0.0.1:") || strings.HasSuffix(url, ":8765") {
		t.Errorf("--listen was not obeyed: %s", url)
	}
}

// output starts the command, and returns its standard error line by line.
func output(t *testing.T, args ...string) (*exec.Cmd, <-chan string) {
	t.Helper()
	o := command(args...)
	c := exec.Command(o.Command[0], o.Command[1:]...)
	c.Env = append(os.Environ(), roleVar+"=openmas")
	pipe, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for in := bufio.NewReader(pipe); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill() // it has ended already, as a rule
		<-read
		_ = c.Wait()
	})
	return c, lines
}

func awaitLine(t *testing.T, lines <-chan string, want string) string {
	t.Helper()
	for end := time.After(hang); ; {
		select {
		case line := <-lines:
			if strings.HasPrefix(line, want) {
				return line
			}
		case <-end:
			t.Fatalf("no line %q", want)
		}
	}
}

func TestChecklist09(t *testing.T) { // SSE_SERVER_URL, once the port is bound
	_, lines := output(t, "run", projectFile(t, yaml), "--listen", "127.0.0.1:0")
	line := awaitLine(t, lines, "SSE_SERVER_URL=")
	address := strings.TrimSuffix(strings.TrimPrefix(line, "SSE_SERVER_URL=http://"), "\n")
	conn, err := net.Dial("tcp", address)
	if err != nil || strings.ContainsAny(address, `\ `) || strings.HasSuffix(address, ":0") {
		t.Fatalf("%q: %v", line, err)
	}
	_ = conn.Close()
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
`

// overStdio is a whole conversation.
func overStdio(t *testing.T) (out, errOut string, code int) {
	return run(t, initialize+
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"guide_print","arguments":{}}}`+"\n", "run",
		projectFile(t, yaml), "--stdio", "--listen", "127.0.0.1:0", "--log-level", "debug")
}

func TestChecklist10(t *testing.T) { // STDIO_SERVER_READY
	_, errOut, _ := overStdio(t)
	if !strings.Contains("\n"+errOut, "\nSTDIO_SERVER_READY\n") {
		t.Error(errOut)
	}
}

func TestChecklist11(t *testing.T) { // stdout is for MCP alone
	out, errOut, _ := overStdio(t)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, line := range lines {
		var msg map[string]any
		if err := json.Unmarshal([]byte(line), &msg); err != nil || msg["jsonrpc"] != "2.0" {
			t.Errorf("on stdout: %q", line)
		}
	}
	if len(lines) < 2 || !strings.Contains(errOut, "a stray print") || !strings.Contains(errOut, "level=DEBUG") {
		t.Errorf("%d messages; stderr:\n%s", len(lines), errOut)
	}
}

func TestChecklist12(t *testing.T) { // EOF ends it
	if out, errOut, code := overStdio(t); code != 0 || !strings.Contains(out, "printed") {
		t.Errorf("exit %d\n%s\n%s", code, out, errOut)
	}
}

func TestChecklist13(t *testing.T) { // the transport by flag; an interrupt exits 0, a failure 1
	if _, errOut, code := run(t, "", "run", projectFile(t, "agents:\n  a: {type: broken, critical: true}\nrestart: "+
		"{limit: 1, window: 1m, backoff: 1ms, give_up_after: 1}\n")); code != 1 {
		t.Errorf("an agent that fails for good: exit %d\n%s", code, errOut)
	}
	if runtime.GOOS == "windows" {
		t.Skip("no interrupt can be sent to a single process here")
	}
	c, lines := output(t, "run", projectFile(t, yaml), "--listen", "127.0.0.1:0")
	awaitLine(t, lines, "SSE_SERVER_URL=")
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}
