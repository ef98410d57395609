package mcpcmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// compact is JSON on one line, this program's path as EXE.
func compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	quotedExe, _ := json.Marshal(exe)
	return strings.ReplaceAll(b.String(), string(quotedExe), `"EXE"`)
}

func TestMCPConfig(t *testing.T) {
	plain := projectFile(t, "project: crew\nagents:\n  a: {type: greeter}\n")
	listening := projectFile(t, "project: crew\nagents:\n  a: {type: greeter}\ngateway: {listen: \"0.0.0.0:9000\", "+
		"token: sesame-sesame-1234}\n")
	anyPort := projectFile(t, "agents:\n  a: {type: greeter}\ngateway: {listen: \"127.0.0.1:0\"}\n")
	packaged := projectFile(t, "project: built\npackage: ./crew\nagents:\n  a: {type: elsewhere}\n")
	foreign := projectFile(t, "project: own\nagents:\n  a: {type: elsewhere}\n")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(exe))
	beside := filepath.Base(exe)
	path, _ := json.Marshal(plain)
	packagedPath, _ := json.Marshal(packaged)
	foreignPath, _ := json.Marshal(foreign)
	for name, tt := range map[string]struct {
		args []string
		out  string // "" for an error
		err  string
	}{
		"vscode, a URL": {[]string{"--client", "vscode", "--url", "http://127.0.0.1:8765"},
			`{"servers":{"openmas":{"type":"http","url":"http://127.0.0.1:8765/mcp"}}}`, ".vscode/mcp.json"},
		"vscode, SSE": {[]string{"--client", "vscode", "--url", "https://h/x/sse", "--name", "far"},
			`{"servers":{"far":{"type":"sse","url":"https://h/x/sse"}}}`, ""},
		"cursor, a URL": {[]string{"--client", "cursor", "--url", "https://h", "--token-env", "TOK"},
			`{"mcpServers":{"openmas":{"url":"https://h/mcp","headers":{"Authorization":"Bearer ${env:TOK}"}}}}`,
			"The token is taken from TOK"},
		"claude, a URL": {[]string{"--client", "claude", "--url", "https://h", "--token-env", "TOK"},
			`{"mcpServers":{"openmas":{"command":"EXE","args":["mcp","connect","--stdio","--url","https://h","--token-env","TOK"],"env":{"TOK":"PUT-THE-TOKEN-HERE"}}}}`, "replace PUT-THE-TOKEN-HERE"},
		"cursor, stdio": {[]string{"--client", "cursor", "--stdio", "--url", "https://h"},
			`{"mcpServers":{"openmas":{"command":"EXE","args":["mcp","connect","--stdio","--url","https://h"]}}}`, ""},
		"claude, a project": {[]string{"--client", "claude", "-p", plain, "--set", "state=s"},
			`{"mcpServers":{"crew":{"command":"EXE","args":["run","--stdio","--project",` + string(path) +
				`,"--set","state=s"]}}}`,
			""},
		"vscode, a project": {[]string{"--client", "vscode", "-p", plain},
			`{"servers":{"crew":{"type":"stdio","command":"EXE","args":["run","--stdio","--project",` + string(path) +
				`]}}}`, ""},
		"vscode, a gateway": {[]string{"--client", "vscode", "-p", listening},
			`{"servers":{"crew":{"type":"http","url":"http://127.0.0.1:9000/mcp","headers":{"Authorization":"Bearer ${input:openmas-token}"}}},"inputs":[{"type":"promptString","id":"openmas-token","description":"The token of crew","password":true}]}`, ""},
		"a secret that is set": {[]string{"--client", "claude", "-p", plain, "--set",
			"gateway.token=open-sesame-open-sesame"},
			`{"mcpServers":{"crew":{"command":"EXE","args":["run","--stdio","--project",` + string(path) +
				`,"--set","gateway.token=${env:OPENMAS_TOKEN}"],` +
				`"env":{"OPENMAS_TOKEN":"PUT-OPENMAS-TOKEN-HERE"}}}}`,
			"The value of gateway.token is not printed, but taken from OPENMAS_TOKEN: replace " +
				"PUT-OPENMAS-TOKEN-HERE.\n"},
		"a secret header": {[]string{"--client", "vscode", "-p", plain, "--set", "agents.x.url=http://h/mcp",
			"--set", "agents.x.headers.Authorization=Bearer sesame"},
			`{"servers":{"crew":{"type":"stdio","command":"EXE","args":["run","--stdio","--project",` + string(path) +
				`,"--set","agents.x.url=http://h/mcp","--set",` +
				`"agents.x.headers.Authorization=${env:OPENMAS_AGENTS_X_HEADERS_AUTHORIZATION}"],` +
				`"env":{"OPENMAS_AGENTS_X_HEADERS_AUTHORIZATION":` +
				`"${input:openmas-agents-x-headers-authorization}"}}},"inputs":[{"type":"promptString","id":` +
				`"openmas-agents-x-headers-authorization","description":` +
				`"OPENMAS_AGENTS_X_HEADERS_AUTHORIZATION of crew","password":true}]}`, "the editor asks for it once"},
		"a package": {[]string{"--client", "claude", "-p", packaged},
			`{"mcpServers":{"built":{"command":"EXE","args":["run","--stdio","--project",` + string(packagedPath) +
				`]}}}`,
			"openmas, which builds "},
		"a program": {[]string{"--client", "vscode", "-p", foreign, "--program", exe},
			`{"servers":{"own":{"type":"stdio","command":"EXE","args":["run","--stdio","--project",` +
				string(foreignPath) + `]}}}`, ""},
		"a program of this folder": {[]string{"--client", "vscode", "-p", foreign, "--program", beside},
			`{"servers":{"own":{"type":"stdio","command":"EXE","args":["run","--stdio","--project",` +
				string(foreignPath) + `]}}}`, ""},
		"types of another program": {[]string{"--client", "claude", "-p", foreign}, "",
			`agent a: openmas has no type "elsewhere"`},
		"a program that is not there": {[]string{"--client", "claude", "-p", foreign, "--program", "no-such-program"},
			"",
			"--program: "},
		"a program and a URL": {[]string{"--client", "cursor", "--url", "http://h", "--program", exe}, "",
			"--program serves a project"},
		"no client":          {nil, "", `--client "": want`},
		"an unknown client":  {[]string{"--client", "emacs"}, "", `--client "emacs": want vscode, claude or cursor`},
		"both":               {[]string{"--client", "cursor", "--url", "http://h", "-p", plain}, "", "one of them"},
		"a wrong URL":        {[]string{"--client", "cursor", "--url", "h"}, "", `--url "h"`},
		"a port that varies": {[]string{"--client", "cursor", "-p", anyPort}, "", "port 0"},
		"a token for stdio": {[]string{"--client", "cursor", "-p", plain, "--token-env", "X"}, "",
			"--token-env is for a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, "", append([]string{"mcp", "config"}, tt.args...)...)
			if tt.out == "" {
				if r.code != 2 || !strings.Contains(r.err, tt.err) || r.out != "" {
					t.Errorf("exit %d, %q, %q", r.code, r.out, r.err)
				}
				return
			}
			if got := compact(t, r.out); r.code != 0 || got != tt.out || !strings.Contains(r.err, tt.err) ||
				strings.Contains(r.out+r.err, "sesame") {
				t.Errorf("exit %d, %s\n%s", r.code, got, r.err)
			}
		})
	}
}

const clientFile = `{"mcpServers": {
  "Notes App": {"command": "notes", "args": ["--token", "t0ken"]},
  "kept": {"url": "https://bob:pw1@h.example/mcp"},
  "off": {"command": "x", "disabled": true}, // a comment
}}`

func TestImport(t *testing.T) {
	r := run(t, clientFile, "mcp", "import", "-")
	if r.code != 0 || !strings.Contains(r.out, `  notes-app:
    command: ["notes", "--token", "${env:NOTES_APP_TOKEN}"]`) || !strings.Contains(r.out, "  # off:\n") ||
		!strings.Contains(r.err, "set the environment variable NOTES_APP_TOKEN") ||
		strings.Contains(r.out+r.err, "t0ken") || strings.Contains(r.out+r.err, "pw1") {
		t.Errorf("exit %d\n%s\n%s", r.code, r.out, r.err)
	}
	r = run(t, clientFile, "mcp", "import", "--keep-secrets", "--disabled", "-")
	if r.code != 0 || !strings.Contains(r.out, `"t0ken"`) || !strings.Contains(r.out, "  off:\n") ||
		!strings.Contains(r.out, `headers: {"Authorization": "Basic Ym9iOnB3MQ=="}`) {
		t.Errorf("exit %d\n%s\n%s", r.code, r.out, r.err)
	}
	for args, want := range map[string]string{"absent.json": "absent.json",
		"--into /no/such/folder/x.yaml -": "no such file"} {
		if r := run(t, clientFile, append([]string{"mcp", "import"}, strings.Fields(args)...)...); r.code == 0 ||
			!strings.Contains(r.err, want) || r.out != "" {
			t.Errorf("%s: exit %d, %s", args, r.code, r.err)
		}
	}
	if r := run(t, `{"mcpServers": {"off": {"command": "x", "disabled": true}}}`, "mcp", "import", "-"); r.code != 1 ||
		r.out != "" || !strings.Contains(r.err, "none of its 1 servers") {
		t.Errorf("exit %d, %q, %s", r.code, r.out, r.err)
	}
}

func TestImportInto(t *testing.T) {
	path := projectFile(t, "# mine\nagents:\n  a: {type: greeter} # first\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	var first []byte
	for i := range 2 { // the second time changes nothing
		r := run(t, clientFile, "mcp", "import", "--into", path, "-")
		// A comment is no agent, and what is skipped needs no variable.
		wants := []string{"agents added to " + path + ": 2. Next: openmas validate " + path, "NOTES_APP_TOKEN",
			"gateway: {}"}
		if i > 0 {
			wants = []string{"agents added to " + path + ": 0", "kept is in " + path + " already"}
		}
		for _, want := range wants {
			if !strings.Contains(r.err, want) || i > 0 && strings.Contains(r.err, "NOTES_APP_TOKEN") {
				t.Errorf("no %q: %s", want, r.err)
			}
		}
		text, err := os.ReadFile(path)
		if r.code != 0 || r.out != "" || err != nil || strings.Count(string(text), "  notes-app:\n") != 1 ||
			!strings.HasPrefix(string(text), "# mine\nagents:\n  a: {type: greeter} # first\n  kept:\n") {
			t.Fatalf("exit %d, %v\n%s\n%s", r.code, err, text, r.err)
		}
		if i > 0 && string(text) != string(first) {
			t.Errorf("it changed:\n%s", text)
		}
		first = text
	}
	const other = `{"mcpServers": {"other": {"command": "n", "env": {"NOTES_APP_TOKEN": "s"}}}}`
	if r := run(t, other, "mcp", "import", "--into", path, "-"); !strings.Contains(r.err,
		"the variable NOTES_APP_TOKEN is in "+path+" already") {
		t.Error(r.err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	environ := []string{"NOTES_APP_TOKEN=a", "KEPT_LOGIN=b"}
	if r := runWith(t.Context(), "", environ, "validate", path); r.code != 0 {
		t.Error(r.err)
	}
}

func TestConnect(t *testing.T) {
	path := projectFile(t, "agents:\n  greeter: {type: greeter}\ngateway: {token: sesame-sesame-1234}\n")
	base := serve(t, path)
	const in = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"greeter_greet","arguments":{"name":"Ann"}}}
`
	environ := []string{"TOK=sesame-sesame-1234"}
	for _, url := range []string{base, base + "/agents/greeter/mcp"} {
		r := runWith(t.Context(),
			strings.ReplaceAll(in, "greeter_greet",
				map[bool]string{true: "greet", false: "greeter_greet"}[strings.Contains(url, "agents")]), environ,
			"mcp", "connect", "--stdio", "--url", url, "--token-env", "TOK")
		if r.code != 0 || !strings.Contains(r.out, "Hello, Ann!") || !strings.Contains(r.err, "STDIO_SERVER_READY\n") ||
			strings.Contains(r.err, "sesame") {
			t.Errorf("%s: exit %d\n%s\n%s", url, r.code, r.out, r.err)
		}
	}
	if r := runWith(t.Context(), "", environ, "call", "greeter.greet", "name=Bo", "--url", base, "--token-env",
		"TOK"); r.code != 0 || !strings.Contains(r.out, "Hello, Bo!") {
		t.Errorf("call: exit %d, %s, %s", r.code, r.out, r.err)
	}
	if r := runWith(t.Context(), "", environ, "list", "--url", base); r.code != 1 ||
		!strings.Contains(r.err, "401") {
		t.Errorf("list without the token: exit %d, %s", r.code, r.err)
	}
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no --stdio":        {[]string{"--stdio=false", "--url", base}, 2, "--stdio=false"},
		"no url":            {[]string{"--stdio"}, 2, "--url"},
		"no variable":       {[]string{"--stdio", "--url", base, "--token-env", "NONE"}, 2, "NONE is not set"},
		"nobody there, SSE": {[]string{"--stdio", "--url", "http://127.0.0.1:1/sse"}, 1, "connect to"},
	} {
		if r := runWith(t.Context(), in, environ,
			append([]string{"mcp", "connect"}, tt.args...)...); r.code != tt.code ||
			!strings.Contains(r.err, tt.want) || r.out != "" {
			t.Errorf("%s: exit %d, %q, %q", name, r.code, r.out, r.err)
		}
	}
}
