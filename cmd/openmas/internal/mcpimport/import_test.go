package mcpimport

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/openmas/openmas/runtime/project"
)

// imported reads a client's file, and checks that what comes of it is a project file.
func imported(t *testing.T, file string, opts Options) (yaml, notes string) {
	t.Helper()
	agents, list, err := Read([]byte(file), opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	yaml = Write(agents)
	loads(t, yaml)
	for _, a := range agents {
		list = append(list, a.Notes...)
	}
	return yaml, strings.Join(list, "\n")
}

var variables = regexp.MustCompile(`\$\{env:([A-Za-z0-9_]+)\}`)

// loads loads a project file, with every variable that it names set.
func loads(t *testing.T, yaml string) *project.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	yaml = fileReference.ReplaceAllString(yaml, "${1}x")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{}
	for _, m := range variables.FindAllStringSubmatch(yaml, -1) {
		value := "value-of-" + m[1]
		if strings.Contains(yaml, `url: "`+m[0]) {
			value = "https://x"
		} else if strings.Contains(yaml, ":"+m[0]) {
			value = "1" // a port
		}
		environ = append(environ, m[1]+"="+value)
	}
	cfg, err := project.Load(path, project.Options{Environ: environ})
	if err != nil {
		t.Fatalf("what was printed does not load: %v\n%s", err, yaml)
	}
	return cfg
}

const clientFile = `{
  // an editor's settings
  "mcpServers": {
    "GitHub Copilot": {"command": "npx", "args": ["-y", "server-github", "--api-key=abc123", "--token", "t0ken", "--level", "debug"],
      "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_secret1", "LOG_LEVEL": "info", "HOME_DIR": "${workspaceFolder}/x", "N": 5, "API_KEY": "${input:api-key}", "URL": "${BASE:-http://x}"}, "cwd": "/srv"},
    "remote": {"type": "sse", "url": "https://x.example/mcp?x=1", "headers": {"Authorization": "Bearer ey-secret2", "X-Api-Key": "secret3", "X-Team": "core"}, "alwaysAllow": ["a"]},
    "github-copilot": {"serverUrl": "https://y.example/sse", "disabled": true,},
    "7up": {"type": "http", "url": "https://z.example/sse", "timeout": 60, "oauth": {"client_secret": "secret4"}},
    "odd": {"image": "x"},
    "openmas": {"command": "a", "args": ["$HOME", "${weird stuff}", "${"], "env": {"NOTHING": null}}, /* the last */
  },
  "theme": "dark",
}`

func TestRead(t *testing.T) {
	out, notes := imported(t, clientFile, Options{})
	for _, want := range []string{
		"  github-copilot:\n", `    command: ["npx", "-y", "server-github", "--api-key=${env:GITHUB_COPILOT_API_KEY}", "--token", "${env:GITHUB_COPILOT_TOKEN}", "--level", "debug"]` + "\n",
		`"GITHUB_PERSONAL_ACCESS_TOKEN": "${env:GITHUB_PERSONAL_ACCESS_TOKEN}"`, `"LOG_LEVEL": "info"`,
		`"HOME_DIR": "./x"`, `"N": "5"`, `"API_KEY": "${env:API_KEY}"`, `"URL": "${env:BASE}"`, `    dir: "/srv"`,
		"  remote:\n", "    communicator: mcp-sse\n", `    token: "${env:REMOTE_TOKEN}"`,
		`"X-Api-Key": "${env:REMOTE_X_API_KEY}"`, `"X-Team": "core"`, `# left out: alwaysAllow: ["a"]`,
		"  # github-copilot-2:\n", "  #   url: \"https://y.example/sse\"\n", "  mcp-7up:\n",
		"    communicator: mcp-http\n", "    timeout: 60s\n", "# left out: oauth\n", "  # odd:\n",
		`# left out: image: "x"`, "  openmas-mcp:\n", `["a", "${env:HOME}", "$${weird stuff}", "$${"]`,
		"# left out: env: NOTHING",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, want := range []string{`server "GitHub Copilot" becomes agent github-copilot`,
		"set the environment variable GITHUB_PERSONAL_ACCESS_TOKEN", "set the environment variable REMOTE_TOKEN",
		"set the environment variable API_KEY", `no default "http://x"`, "it is disabled",
		"odd comes as a comment: neither a command nor a url", "remote: left out alwaysAllow", "top of the file: theme",
		"${weird stuff} stays as it is"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note %q", want)
		}
	}
	for _, secret := range []string{"secret1", "secret2", "secret3", "secret4", "t0ken", "abc123"} {
		if strings.Contains(out+notes, secret) {
			t.Errorf("%s went over", secret)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", out, notes)
	}
	cfg := loads(t, out)
	if a := cfg.Agents["remote"]; len(cfg.Agents) != 4 || a.Communicator != project.OverSSE ||
		a.Token != "value-of-REMOTE_TOKEN" {
		t.Errorf("%+v", cfg.Agents)
	}
}

// Every shape of a client's file that is known.
func TestShapes(t *testing.T) {
	const x = "agents:\n  a:\n    command: [\"x\"]\n"
	for name, tt := range map[string]struct{ file, want string }{
		"VS Code":            {`{"servers": {"a": {"type": "stdio", "command": "x"}}, "inputs": []}`, x},
		"VS Code's settings": {`{"mcp": {"servers": {"a": {"command": "x"}}}}`, x},
		"a mark before it":   {"\xef\xbb\xbf" + `{"mcpServers": {"a": {"command": "x"}}}`, x},
		"a list":             {`{"mcpServers": [{"name": "a", "command": "x"}]}`, x},
		"a plugin":           {`{"a": {"command": "x"}}`, x},
		"opencode": {`{"mcp": {"a": {"type": "local", "command": ["x", "y"], "enabled": true, "environment": {"K": "{env:V}"}}}}`,
			"agents:\n  a:\n    command: [\"x\", \"y\"]\n    env: {\"K\": \"${env:V}\"}\n"},
		"opencode, remote": {`{"mcp": {"a": {"type": "remote", "url": "https://h/mcp"}}}`,
			"agents:\n  a:\n    url: \"https://h/mcp\"\n"},
		"Zed":     {`{"context_servers": {"a": {"source": "custom", "command": "x", "env": {}}}}`, x},
		"old Zed": {`{"context_servers": {"a": {"command": {"path": "x", "args": []}}}}`, x},
		"Cherry Studio": {`{"mcpServers": {"Zk3d-9xQ": {"name": "a", "isActive": true, "baseUrl": "https://h/sse", "type": "sse"}}}`,
			"agents:\n  a:\n    url: \"https://h/sse\"\n"},
		"Codex": {"[mcp_servers.a]\ncommand = \"x\"\nargs = [\"y\"]\nenabled_tools = [\"t\"]\ntool_timeout_sec = 30\n",
			"agents:\n  a:\n    command: [\"x\", \"y\"]\n    allow_tools: [\"t\"]\n    timeout: 30s\n"},
		"Codex, a URL": {"# mine\n[mcp_servers.a]\nurl = \"https://h/mcp\"\nbearer_token_env_var = \"T\"\nenv_http_headers = {X-A = \"V\"}\n",
			"agents:\n  a:\n    url: \"https://h/mcp\"\n    token: \"${env:T}\"\n    headers: {\"X-A\": \"${env:V}\"}\n"},
		"Continue": {"name: n\nmcpServers:\n  - name: a\n    command: x\n    env: {V: 1.10, W: yes, B: true}\n",
			"agents:\n  a:\n    command: [\"x\"]\n    env: {\"B\": \"true\", \"V\": \"1.10\", \"W\": \"yes\"}\n"},
		"Continue, a URL": {"mcpServers:\n  - name: a\n    type: streamable-http\n    url: https://h/mcp\n    requestOptions: {headers: {X-A: b}}\n",
			"agents:\n  a:\n    url: \"https://h/mcp\"\n    headers: {\"X-A\": \"b\"}\n"},
		"headers of the connection": {`{"mcpServers": {"a": {"url": "https://h/mcp", "headers": {"host": "x", "X-A": "b"}}}}`,
			"agents:\n  a:\n    url: \"https://h/mcp\"\n    headers: {\"X-A\": \"b\"}\n" +
				"    # left out: header host: which openmas sets itself\n"},
		"Goose": {"extensions:\n  a: {type: stdio, cmd: x, args: [y], enabled: true, envs: {K: v}}\n",
			"agents:\n  a:\n    command: [\"x\", \"y\"]\n    env: {\"K\": \"v\"}\n"},
		"numbers and words in lists": {`{"mcpServers": {"a": {"command": "x", "args": ["-p", 3000, true], "env": {"A": 1234567, "B": 12345678901234567, "C": 1.50, "O": {"a": 1}}}}}`,
			"agents:\n  a:\n    command: [\"x\", \"-p\", \"3000\", \"true\"]\n    env: {\"A\": \"1234567\", \"B\": \"12345678901234567\", \"C\": \"1.50\", \"O\": \"{\\\"a\\\":1}\"}\n"},
		"a command line": {`{"mcpServers": {"a": {"command": "npx -y x", "args": "--one two"}}}`,
			"agents:\n  a:\n    command: [\"npx\", \"-y\", \"x\", \"--one\", \"two\"]\n"},
		"a path with spaces": {`{"mcpServers": {"a": {"command": "C:\\Program Files\\node.exe", "args": ["C:\\my dir\\x.js"]}}}`,
			"agents:\n  a:\n    command: [\"C:\\\\Program Files\\\\node.exe\", \"C:\\\\my dir\\\\x.js\"]\n"},
		"two with one name": {`{"mcpServers": {"天气": {"command": "x"}, "天空": {"command": "y"}}}`,
			"agents:\n  mcp:\n    command: [\"x\"]\n  mcp-2:\n    command: [\"y\"]\n"},
		"a command and the type of a URL": {`{"servers": {"a": {"type": "sse", "command": "x"}}}`,
			x + "    # left out: type: sse\n"},
		"what openmas cannot reach": {`{"servers": {"a": {"command": "x"}, "b": {"url": "ws://h/x"}}}`,
			x + "  # b: url: \"ws://h/x\" is not an http or https URL\n  # b:\n  #   url: \"ws://h/x\"\n"},
		"words of an editor": {`{"servers": {"a": {"command": "${workspaceFolder}/x", "args": ["${file}", "${userHome}"]}}}`,
			"agents:\n  a:\n    command: [\"./x\", \"$${file}\", \"${env:HOME}\"]\n"},
		"secrets of GitHub": {`{"mcpServers": {"a": {"command": "x", "env": {"K": "${{ secrets.S }}", "R": "$REGION"}}}}`,
			"agents:\n  a:\n    command: [\"x\"]\n    env: {\"K\": \"${env:S}\", \"R\": \"${env:REGION}\"}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, notes := imported(t, tt.file, Options{}); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s\nnotes\n%s", got, tt.want, notes)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for file, want := range map[string]string{
		`[]`:                 "no object",
		`{"mcpServers": {}}`: "no servers are in it",
		`{"mcpServers": 5}`:  "no servers are in it",
		`{"a": "`:            "cannot be read",
		`{"a": 1} {"b": 2}`:  "more stands behind",
		``:                   "no servers are in it",
		`/* "`:               "no object",
		"a: &a [*a]":         "an alias to itself",
		`{"mcpServers": {"a": {"command": "x", "disabled": true}}}`: "none of its 1 servers",
	} {
		if _, _, err := Read([]byte(file), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(clientFile)
	f.Add(`{"servers": {"a": {"command": "x", "args": ["${"], "env": {"": ""}}}}`)
	f.Add("mcpServers:\n  - {name: a, command: x}\n")
	f.Add("[mcp_servers.a]\ncommand = \"x\"\n")
	for _, shape := range shapes {
		for _, odd := range oddServers {
			f.Add(shape(`{"command": "x"}`, odd))
		}
	}
	f.Fuzz(func(t *testing.T, file string) {
		agents, _, err := Read([]byte(file), Options{})
		if err == nil {
			loads(t, Write(agents))
		}
	})
}
