package mcpimport

import (
	"strings"
	"testing"
)

// How long a call may take is in seconds at some clients and in milliseconds at others.
func TestTimeouts(t *testing.T) {
	for file, want := range map[string]string{
		`{"mcpServers": {"a": {"command": "x", "timeout": 60000}}}`: "    timeout: 60s\n",
		`{"mcpServers": {"a": {"command": "x", "timeout": 60}}}`:    "    timeout: 60s\n",
		`{"mcpServers": {"a": {"command": "x", "timeout": 4500}}}`:  "    timeout: 4500ms\n",
		`{"mcpServers": {"a": {"command": "x", "timeout": 2000}}}`: "    # left out: timeout: 2000: " +
			"it is 2000s or 2s, depending on the client\n",
		`{"mcpServers": {"a": {"command": "x", "timeout": -1}}}`:                                  "    # left out: timeout: -1\n",
		`{"mcpServers": {"a": {"command": "x", "timeout": 1e300}}}`:                               "    # left out: timeout: 1e300\n",
		`{"mcpServers": {"k": {"name": "a", "isActive": true, "command": "x", "timeout": 2000}}}`: "    timeout: 2000s\n",
		`{"context_servers": {"a": {"command": "x", "timeout": 2000}}}`:                           "    timeout: 2s\n",
		`{"mcp": {"a": {"type": "local", "command": ["x"], "timeout": 2000}}}`:                    "    timeout: 2s\n",
		`{"mcp": {"a": {"type": "local", "command": ["x"], "timeout": {"startup": 20000, "request": 1500}}}}`: "    " +
			"timeout: 1500ms\n    start: {timeout: 20s}\n",
		"extensions:\n  a: {cmd: x, timeout: 2000}\n": "    timeout: 2000s\n",
		"[mcp_servers.a]\ncommand = \"x\"\nstartup_timeout_sec = 20\ntool_timeout_sec = 0.5\n": "    timeout: 500ms\n" +
			"    start: {timeout: 20s}\n",
		"[mcp_servers.a]\ncommand = \"x\"\nstartup_timeout_ms = 20000\n": "    start: {timeout: 20s}\n",
	} {
		if got, notes := imported(t, file, Options{}); got != "agents:\n  a:\n    command: [\"x\"]\n"+want {
			t.Errorf("%s:\n%s%s", file, got, notes)
		}
	}
}

// There is no shell that knows what ~ is.
func TestHomeFolder(t *testing.T) {
	out, notes := imported(t, `{"mcpServers": {"a": {"command": "~/bin/x", "args": ["~", "--root=~/r", "~bob/x", "a~/b"],
		"env": {"D": "~/d"}, "cwd": "~/w"}}}`, Options{})
	if out != `agents:
  a:
    command: ["${env:HOME}/bin/x", "${env:HOME}", "--root=${env:HOME}/r", "~bob/x", "a~/b"]
    env: {"D": "${env:HOME}/d"}
    dir: "${env:HOME}/w"
` || !strings.Contains(notes, "~ becomes ${env:HOME}") {
		t.Errorf("%s%s", out, notes)
	}
}

// Servers that Claude Code keeps for one folder.
func TestProjects(t *testing.T) {
	out, notes := imported(t, `{"projects": {"/home/u/app": {"mcpServers": {"p": {"command": "x"}}, "history": []},
		"/b": {}}, "mcpServers": {"g": {"type": "http", "url": "https://h/mcp"}}}`, Options{})
	if out != "agents:\n  g:\n    url: \"https://h/mcp\"\n  p:\n    command: [\"x\"]\n    dir: \"/home/u/app\"\n" ||
		notes != "p is a server of the project /home/u/app" {
		t.Errorf("%s%s", out, notes)
	}
}

// oddServers are such as people have, most with one thing that is no good.
var oddServers = []string{`null`, `"npx x"`, `5`, `[]`, `{}`, `{"command": ""}`, `{"command": []}`,
	`{"command": ["x", {}]}`, `{"command": {"path": 5}}`,
	`{"command": "x", "args": {}}`, `{"command": "x", "args": [null, ["y"]]}`,
	`{"command": "x", "args": ["nul\u0000"]}`,
	`{"command": "x", "env": ["A=b"]}`,
	`{"command": "x", "env": {"": "a", "A=B": "c", "OPENMAS_URL": "d", "N": null}}`,
	`{"command": "x", "env": {"A": "a\nb", "B": "\u2028", "C": "${", "D": "$${x}", "E": "{file:absent}"}}`,
	`{"command": "x", "envFile": "${workspaceFolder}/.env", "dev": {"watch": "a"}, "sandboxEnabled": true}`,
	`{"command": "x", "cwd": 5, "disabled": "no", "autoApprove": [], "alwaysAllow": null}`,
	`{"command": "x", "timeout": "soon"}`, `{"command": "x", "timeout": [1]}`, `{"command": "x", "tools": ["", "*"]}`,
	`{"command": "x", "tools": [""]}`,
	`{"url": ""}`, `{"url": "h"}`, `{"url": "https://"}`, `{"url": "https://{tenant}.h/mcp"}`,
	`{"url": "https://${H}:${P}/mcp"}`, `{"type": "stdio", "url": "https://h/mcp"}`,
	`{"type": "streamable-http", "url": "https://h/sse"}`, `{"type": "streamableHttp", "url": "http://[::1]:1/mcp"}`,
	`{"type": "sse"}`, `{"type": 7, "url": "https://h/mcp"}`, `{"url": "https://h/mcp", "headers": []}`,
	`{"url": "https://h/mcp", "headers": {"": "a", "X Y": "b", "X-N": "a\nb", "X": null, "Authorization": "Bearer "}}`,
	`{"url": "https://h/mcp", "headers": {"Authorization": "Bearer a b"}, "bearer_token_env_var": "T",
	  "auth": {"CLIENT_SECRET": "s"}}`,
	`{"url": "https://u:p@h/mcp", "headers": {"authorization": "x", "AUTHORIZATION": "y"}}`,
}

// shapes write servers as each client does.
var shapes = map[string]func(good, odd string) string{
	"Claude Desktop": func(good, odd string) string {
		return `{"globalShortcut": "", "mcpServers": {"good": ` + good + `, "odd": ` + odd + `}}`
	},
	"Cursor": func(good, odd string) string {
		return "{ // mine\n \"mcpServers\": {\"odd\": " + odd + ", \"good\": " + good + ",},}"
	},
	"VS Code": func(good, odd string) string {
		return `{"inputs": [{"id": "k", "type": "promptString",},], /* all */ "servers": {"odd": ` + odd + `, "good": ` +
			good + `}}`
	},
	"Zed": func(good, odd string) string {
		return `{"theme": "One", "context_servers": {"odd": ` + odd + `, "good": ` + good +
			`, "e": {"source": "extension", "settings": {}}}}`
	},
	"opencode": func(good, odd string) string {
		return `{"$schema": "x", "mcp": {"odd": ` + odd + `, "good": ` + good + `}}`
	},
	"Cherry Studio": func(good, odd string) string {
		return `{"mcpServers": {"Zk3d": ` + strings.Replace(good, "{", `{"isActive": true, "name": "good", `, 1) +
			`, "odd": ` + odd + `}}`
	},
	"Continue": func(good, odd string) string {
		return "name: n\nversion: 0.0.1\nmcpServers:\n  - " + strings.Replace(good, "{", `{"name": "good", `, 1) +
			"\n  - " + strings.ReplaceAll(odd, "\n", " ") + "\n"
	},
	"Goose": func(good, odd string) string {
		return "extensions:\n  good: " + good + "\n  odd: " + strings.ReplaceAll(odd, "\n", " ") +
			"\n  developer: {type: builtin, enabled: true}\n"
	},
	"Codex": func(good, odd string) string {
		return "model = \"m\"\n[mcp_servers.odd]\ncommand = 5\nargs = [{a = 1}]\nurl = '''" + odd + "'''\n" +
			"[mcp_servers.good]\ncommand = \"x\"\n[mcp_servers.good.tools.t]\napproval_mode = \"approve\"\n"
	},
}

// What has one meaning in words that clients do not use is read.
func TestWhatIsMeant(t *testing.T) {
	for server, want := range map[string][]string{
		`{"command": "x", "args": ["a", null, "b"]}`: {`command: ["x", "a", "b"]`, "left out: args: null"},
		`{"command": "sh -c 'a b' \"c d\"  e"}`:      {`command: ["sh", "-c", "a b", "c d", "e"]`},
		`{"command": "srv it's"}`:                    {`command: ["srv", "it's"]`},
		`{"command": "\"C:\\a b\\x\" -y"}`:           {`command: ["C:\\a b\\x", "-y"]`},
		`{"command": "/opt/a b/x"}`:                  {`command: ["/opt/a b/x"]`},
		`{"command": "sh", "args": ["-c", "KEY=v1 x --key $KEY && y"]}`: {
			`command: ["sh", "-c", "KEY=${env:A_KEY} x --key $KEY && y"]`},
		`{"command": "x", "env": ["A=1", "B=c=d"]}`:           {`env: {"A": "1", "B": "c=d"}`},
		`{"url": "https://h/mcp", "headers": ["X-V: a:b"]}`:   {`headers: {"X-V": "a:b"}`},
		`{"url": "https://h/mcp", "headers": ["X-V"]}`:        {`left out: headers: ["X-V"]`},
		`{"url": "https://h/mcp", "headers": [{"X-V": "a"}]}`: {"left out: headers"},
	} {
		out, notes := imported(t, `{"mcpServers": {"a": `+server+`}}`, Options{})
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %s in\n%s%s", server, w, out, notes)
			}
		}
	}
}

// A server that is no good costs itself only, and what is printed is a project file.
func TestOddServers(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			for _, odd := range oddServers {
				out, notes := imported(t, shape(`{"command": "x"}`, odd), Options{})
				if loads(t, out).Agents["good"].Command == nil {
					t.Errorf("%s: the good one is lost:\n%s%s", odd, out, notes)
				}
			}
		})
	}
}
