package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

// foreignProgram is the name under which the test binary is an MCP server program with something
// wrong: its argument says what.
const foreignProgram = "server"

// serveForeign is that program.
func serveForeign(mode string) int {
	say := func(id json.RawMessage, answer string) {
		fmt.Printf(`{"jsonrpc":"2.0","id":%s,%s}`+"\n", id, answer)
	}
	switch mode {
	case "exits":
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):\n  File \"notes.py\", line 3, in <module>\n"+
			"ModuleNotFoundError: No module named 'mcp'")
		return 1
	case "prints":
		fmt.Println("Starting the notes server")
	}
	stop := make(chan os.Signal, 1)
	switch mode {
	case "deaf":
		signal.Notify(stop, syscall.SIGTERM)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		signal.Notify(stop, os.Interrupt)
	}
	const find = `{"name":"find","inputSchema":{"type":"object","properties":{"who":{"type":"integer"}},` +
		`"required":["who"]}}`
	tools := map[string]string{"twice": find + "," + find, "bad": find + `,{"name":"bad","icons":["x"]}`}[mode]
	if tools == "" {
		tools = find
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var m struct {
			ID     json.RawMessage
			Method string
		}
		if json.Unmarshal(in.Bytes(), &m) != nil || m.ID == nil {
			continue
		}
		capabilities := `{"tools":{}}`
		if mode == "toolless" {
			capabilities = `{}`
		}
		switch {
		case m.Method == "initialize":
			say(m.ID, `"result":{"protocolVersion":"2025-06-18","capabilities":`+capabilities+
				`,"serverInfo":{"name":"notes","version":"1"}}`)
		case m.Method == "tools/list" && mode == "locked":
			say(m.ID, `"error":{"code":-32603,"message":"the database is locked"}`)
		case m.Method == "tools/list" && mode != "toolless":
			say(m.ID, `"result":{"tools":[`+tools+`]}`)
		default:
			say(m.ID, `"error":{"code":-32601,"message":"Method not found"}`)
		}
	}
	if mode == "deaf" || mode == "stubborn" {
		<-stop
	}
	return 0
}

// wrongForeign are projects whose foreign agents are not what the projects take them for. URL is a
// server over HTTP that answers with the status of its path.
var wrongForeign = []struct{ name, yaml string }{
	{"all is well", "agents:\n  notes: {command: [./server, well]}\n"},
	{"a program that is not there", "agents:\n  notes: {command: [no-such-program]}\n"},
	{"a command in one word", "agents:\n  notes: {command: [\"./server well\"]}\n"},
	{"a folder of home", "agents:\n  notes: {command: [\"~/server\", well]}\n"},
	{"a folder that is not there", "agents:\n  notes: {command: [./server, well], dir: nowhere}\n"},
	{"a program that is no program", "agents:\n  notes: {command: [./openmas.yaml]}\n"},
	{"a program that ends at once", "agents:\n  notes: {command: [./server, exits]}\n"},
	// A shell has said its word within that time on a busy machine too.
	{"a program that is slow", "agents:\n  notes: {command: [sh, web.sh], start: {timeout: 3s}}\n"},
	{"a program of another kind", "agents:\n  notes: {command: [sh, chats.sh], start: {timeout: 3s}}\n"},
	{"a program that prints to standard output", "agents:\n  notes: {command: [./server, prints]}\n"},
	{"a server that hangs", "agents:\n  notes: {command: [sh, hangs.sh], start: {timeout: 3s}}\n"},
	{"a server that ends on SIGTERM only", "agents:\n  notes: {command: [./server, deaf]}\n" +
		"child: {stdin_wait: 100ms, term_wait: 30s}\n"},
	{"a server that does not end", "agents:\n  notes: {command: [./server, stubborn]}\n" +
		"child: {stdin_wait: 100ms, term_wait: 100ms}\n"},
	{"a server that fails", "agents:\n  notes: {command: [./server, locked]}\n"},
	{"a server without tools", "agents:\n  notes: {command: [./server, toolless]}\n"},
	{"two tools of one name", "agents:\n  notes: {command: [./server, twice]}\n"},
	{"a tool that is none", "agents:\n  notes: {command: [./server, bad]}\n"},
	{"nothing listens", "agents:\n  notes: {url: \"http://127.0.0.1:1/mcp\"}\n"},
	{"a url that wants a token", "agents:\n  notes: {url: URL/401/mcp}\n"},
	{"a url that wants another token", "agents:\n  notes: {url: URL/403/mcp, token: \"${file:token}\"}\n"},
	{"a wrong path", "agents:\n  notes: {url: URL/404/mcp}\n"},
	{"a url that redirects to itself", "agents:\n  notes: {url: URL/307/mcp}\n"},
	{"a web page", "agents:\n  notes: {url: URL/200/mcp}\n"},
	{"a url without TLS", "agents:\n  notes: {url: SECURE/200/mcp}\n"},
	{"a server with an error", "agents:\n  notes: {url: URL/500/mcp}\n"},
	{"a tool that is required, and not there", "agents:\n  notes: {command: [./server, well]}\n" +
		"  a: {type: wants-fnd}\n"},
	{"a tool of another type", "agents:\n  notes: {command: [./server, well]}\n  a: {type: far}\n"},
	{"tools that are named, and not there", "agents:\n  notes:\n    command: [./server, well]\n" +
		"    allow_tools: [fnd]\n    tools: {finds: {timeout: 3s}}\ngateway: {expose: [notes.found]}\n"},
	{"a project that cannot start", "agents:\n  notes: {command: [./server, well]}\n  a: {type: greter}\n"},
}

// testdata/probe.golden has the answer of openmas validate --probe to each of them.
func TestWrongForeignAgents(t *testing.T) {
	testkit.Processes(t)
	if runtime.GOOS == "windows" {
		t.Skip("what is in the golden file are paths and errors of Unix")
	}
	status := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var code int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d/", &code); err != nil {
			code = http.StatusNotFound
		}
		if code == http.StatusTemporaryRedirect {
			w.Header().Set("Location", r.URL.Path+"?token=sesame-sesame")
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
	})
	srv := httptest.NewServer(status)
	defer srv.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	all := wrongTypes()
	all["wants-fnd"] = func() agent.Agent { return requirer{agent.Require("notes.fnd")} }
	validate := func(args ...string) result {
		var out, errOut testkit.Buffer
		code := Run(t.Context(), Program{Types: all, Version: testVersion, Environ: []string{}},
			append([]string{"validate", "--probe"}, args...),
			Streams{In: strings.NewReader(""), Out: &out, Err: &errOut})
		return result{code, out.String(), errOut.String()}
	}
	port := srv.URL[strings.LastIndex(srv.URL, ":")+1:]
	var golden strings.Builder
	for _, tt := range wrongForeign {
		path := projectFile(t, strings.NewReplacer("URL", "http://127.0.0.1:"+port, "SECURE", "https://127.0.0.1:"+
			port).Replace(tt.yaml))
		folder := filepath.Dir(path)
		if err := os.Symlink(exe, filepath.Join(folder, foreignProgram)); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"token": "sesame-sesame",
			"web.sh":   "echo 'INFO: running on http://127.0.0.1:8000' >&2; cat >/dev/null",
			"chats.sh": "echo 'Welcome! Type a command:'; cat >/dev/null",
			"hangs.sh": `read -r line; id=${line#*\"id\":}; id=${id%%[,\}]*}` + "\n" +
				`echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-06-18","capabilities":` +
				`{"tools":{}},"serverInfo":{"name":"notes","version":"1"}}}'` + "\n" +
				"echo 'waiting for the database' >&2; cat >/dev/null"} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		patience := "--set=child.stdin_wait=1m" // on a busy machine
		if strings.Contains(tt.yaml, "child:") {
			patience = "--set=child.stdin_wait=100ms"
		}
		r := validate(path, patience)
		answer := strings.NewReplacer(path, "openmas.yaml", folder, "FOLDER", port, "PORT1", os.Getenv("PATH"),
			"PATH").Replace(r.err + r.out)
		golden.WriteString("## " + tt.name + "\n\n" + tt.yaml + "\n" + answer + "\n")
		if (r.code == exitUsage) != strings.Contains(answer, "error: ") || r.code != exitUsage && r.code != exitOK {
			t.Errorf("%s: exit %d, %s", tt.name, r.code, answer)
		}
		var j struct {
			OK       bool
			Problems []struct{ Severity, Message string }
			Offers   map[string]struct{ Tools []string }
		}
		got := validate(path, patience, "--json")
		if got.code != r.code || json.Unmarshal([]byte(got.out), &j) != nil ||
			j.OK != (got.code == exitOK) || strings.Contains(got.out+r.err, "sesame") {
			t.Errorf("%s: --json: %+v", tt.name, got)
		}
		if tools := j.Offers["notes"].Tools; tt.name == "all is well" && fmt.Sprint(tools) != "[find]" {
			t.Errorf("offers: %+v", j.Offers)
		}
		nothingStarted(t, path)
	}
	same(t, filepath.Join("testdata", "probe.golden"), golden.String())
}

// A probe that is given up says so, with what was found until then.
func TestProbeIsGivenUp(t *testing.T) {
	path := projectFile(t, "agents:\n  notes:\n    url: \"http://127.0.0.1:1/mcp\"\n"+
		"    headers: {Authorization: \"Bearer abc\"}\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := runWith(ctx, "", nil, "validate", "--probe", path)
	if r.code != exitFailed || !strings.HasSuffix(r.err, "\nopenmas: context canceled\n") || r.out != "" ||
		!strings.Contains(r.err, "a secret is written in clear") {
		t.Errorf("%+v", r)
	}
	r = runWith(ctx, "", nil, "validate", "--probe", "--json", path)
	if r.code != exitFailed || !strings.Contains(r.err, "context canceled") ||
		!strings.HasPrefix(r.out, "{\n  \"ok\": false") || !strings.Contains(r.out, `"message": "context canceled`) {
		t.Errorf("--json: %+v", r)
	}
}
