package mcpcmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openmas/openmas/runtime/project"
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
		"token: sesame-1}\n")
	anyPort := projectFile(t, "agents:\n  a: {type: greeter}\ngateway: {listen: \"127.0.0.1:0\"}\n")
	packaged := projectFile(t, "project: built\npackage: ./crew\nagents:\n  a: {type: elsewhere}\n")
	foreign := projectFile(t, "project: own\nagents:\n  a: {type: elsewhere}\n")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
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
		"a package": {[]string{"--client", "claude", "-p", packaged},
			`{"mcpServers":{"built":{"command":"EXE","args":["run","--stdio","--project",` + string(packagedPath) +
				`]}}}`,
			"openmas, which builds "},
		"a program": {[]string{"--client", "vscode", "-p", foreign, "--program", exe},
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

const clientFile = `{
  // an editor's settings
  "mcpServers": {
    "GitHub Copilot": {"command": "npx", "args": ["-y", "server-github", "--api-key=abc123", "--token", "t0ken", "--level", "debug"],
      "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_secret1", "LOG_LEVEL": "info", "HOME_DIR": "${workspaceFolder}/x", "N": 5, "API_KEY": "${input:api-key}", "URL": "${BASE:-http://x}"}, "cwd": "/srv"},
    "remote": {"type": "sse", "url": "https://x.example/mcp?x=1", "headers": {"Authorization": "Bearer ey-secret2", "X-Api-Key": "secret3", "X-Team": "core"}, "alwaysAllow": ["a"]},
    "github-copilot": {"serverUrl": "https://y.example/sse", "disabled": true,},
    "7up": {"type": "http", "url": "https://z.example/sse", "timeout": 60},
    "odd": {"image": "x"},
    "openmas": {"command": "a", "args": ["$HOME", "${weird stuff}"], "env": {"NOTHING": null}}, /* the last */
  },
  "theme": "dark",
}`

func TestImport(t *testing.T) {
	r := run(t, clientFile, "mcp", "import", "-")
	if r.code != 0 {
		t.Fatal(r.err)
	}
	for _, want := range []string{
		"  github-copilot:\n", `    command: ["npx", "-y", "server-github", "--api-key=${env:GITHUB_COPILOT_API_KEY}", "--token", "${env:GITHUB_COPILOT_TOKEN}", "--level", "debug"]` + "\n",
		`"GITHUB_PERSONAL_ACCESS_TOKEN": "${env:GITHUB_PERSONAL_ACCESS_TOKEN}"`, `"LOG_LEVEL": "info"`,
		`"HOME_DIR": "./x"`, `"N": "5"`, `"API_KEY": "${env:API_KEY}"`, `"URL": "${env:BASE}"`, `    dir: "/srv"`,
		"  remote:\n", "    communicator: mcp-sse\n", `    token: "${env:REMOTE_TOKEN}"`,
		`"X-Api-Key": "${env:REMOTE_X_API_KEY}"`, `"X-Team": "core"`, `# left out: alwaysAllow: ["a"]`,
		"  # github-copilot-2:\n", "  #   url: \"https://y.example/sse\"\n", "  mcp-7up:\n",
		"    communicator: mcp-http\n", "# left out: timeout: 60", "  # odd:\n", `# left out: image: "x"`,
		"  openmas-mcp:\n", `["a", "$HOME", "$${weird stuff}"]`, "# left out: env: NOTHING",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, want := range []string{`server "GitHub Copilot" becomes agent github-copilot`, "set the environment " +
		"variable GITHUB_PERSONAL_ACCESS_TOKEN", "set the environment variable REMOTE_TOKEN",
		"set the environment variable API_KEY",
		`no default "http://x"`, "look at its url", "is disabled", `server "odd" has neither`,
		"remote: left out alwaysAllow", `"theme" at the top`, "${weird stuff} stays as it is"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no note %q", want)
		}
	}
	if strings.Contains(r.out+r.err, "secret1") || strings.Contains(r.out+r.err, "secret2") ||
		strings.Contains(r.out+r.err, "secret3") || strings.Contains(r.out+r.err, "t0ken") ||
		strings.Contains(r.out+r.err, "abc123") {
		t.Error("a secret went over")
	}
	if t.Failed() {
		t.Logf("%s\n%s", r.out, r.err)
	}
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := os.WriteFile(path, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"HOME=/h"}
	for _, name := range []string{"GITHUB_COPILOT_API_KEY", "GITHUB_COPILOT_TOKEN", "GITHUB_PERSONAL_ACCESS_TOKEN",
		"API_KEY", "BASE", "REMOTE_TOKEN", "REMOTE_X_API_KEY"} {
		environ = append(environ, name+"=value-of-"+name)
	}
	cfg, err := project.Load(path, project.Options{Environ: environ})
	if err != nil {
		t.Fatalf("what was printed does not load: %v\n%s", err, r.out)
	}
	if a := cfg.Agents["remote"]; len(cfg.Agents) != 4 || a.Communicator != project.OverSSE ||
		a.Token != "value-of-REMOTE_TOKEN" {
		t.Errorf("%+v", cfg.Agents)
	}
}

func TestImportOfOtherFiles(t *testing.T) {
	for text, want := range map[string]string{
		`{"servers": {"a": {"type": "stdio", "command": "x"}}, "inputs": []}`: "agents:\n  a:\n    command: " +
			"[\"x\"]\n    # left out: type: stdio\n",
		`{"servers": {"a": {"type": "sse", "command": "x"}}}`: "agents:\n  a:\n    command: [\"x\"]\n    # left out: " +
			"type: sse\n",
		`{"mcp": {"servers": {"a": {"command": "x"}}}}`: "agents:\n  a:\n    command: [\"x\"]\n",
		`[]`:                 "",
		`{"mcpServers": {}}`: "",
		`{"mcpServers": 5}`:  "",
		`{"a": "`:            "",
		``:                   "",
		`/* "`:               "",
	} {
		r := run(t, text, "mcp", "import", "-")
		if want = strings.Replace(want, "    # left out: type: stdio\n", "", 1); r.out != want ||
			(r.code == 0) != (want != "") {
			t.Errorf("%s: exit %d, %q, %s", text, r.code, r.out, r.err)
		}
	}
	if r := run(t, "", "mcp", "import", "absent.json"); r.code != 2 {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add(clientFile)
	f.Add(`{"servers": {"a": {"command": "x", "args": ["${"], "env": {"": ""}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		_, _, _ = importServers([]byte(text)) // it must not panic
	})
}

func TestConnect(t *testing.T) {
	path := projectFile(t, "agents:\n  greeter: {type: greeter}\ngateway: {token: sesame-1}\n")
	base := serve(t, path)
	const in = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"greeter_greet","arguments":{"name":"Ann"}}}
`
	environ := []string{"TOK=sesame-1"}
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
