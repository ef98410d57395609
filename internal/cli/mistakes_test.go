package cli

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every mistake in a project is one line that names the place and the cause; nothing is started,
// and the exit code is 2. What validate shows of them is in testdata/validate.golden.
func TestMistakesInTheProject(t *testing.T) {
	tests := map[string]struct{ yaml, want string }{
		"a typo in a key": {"agents:\n  a: {type: once, comunicator: local}\n",
			`FILE:2:19: unknown key "comunicator" in agents.a; did you mean "communicator"?`},
		"a variable in braces": {"agents:\n  a: {command: [x], env: {X: ${env:A}}}\n",
			`FILE:2:31: not valid YAML: did not find expected ',' or '}'; between { } and [ ] quote what has ` +
				`braces or brackets of its own: "${env:NAME}"`},
		"a typo in a section": {"agent:\n  a: {type: once}\n",
			`FILE:1:1: unknown key "agent"; did you mean "agents"?`},
		"a missing type": {"agents:\n  a: {communicator: local}\n",
			`FILE:2:3: agents.a: does not say what the agent is; say type: (a Go struct), command: (a program) or url: (a server)`},
		"an unknown type": {"agents:\n  a: {type: greter}\n",
			`FILE:2:13: agent a: this program has no type "greter"; did you mean "greeter"?`},
		"a type and a command": {"agents:\n  a: {type: once, command: [x]}\n",
			`FILE:2:3: agents.a: has command and type; an agent is one thing; keep one of them`},
		"an unknown word": {"agents:\n  a: {type: once, communicator: mcp-stido}\n",
			`FILE:2:33: agents.a.communicator: unknown word "mcp-stido"; did you mean "mcp-stdio"?`},
		"a word of another kind": {"agents:\n  a: {command: [x], communicator: local}\n",
			`FILE:2:35: agents.a.communicator: a command agent cannot be reached over local; it can be mcp-stdio or mcp-sse or mcp-http`},
		"two agents of one name": {"agents:\n  a: {type: once}\n  b: {type: once}\n  a: {type: broken}\n",
			`FILE:4:3: two agents are named "a"; the other is at line 2`},
		"nobody provides it": {"agents:\n  host: {type: host}\n",
			`FILE:2:3: agent host requires greeter.greet, and there is no agent "greeter"; add it below ` +
				`agents: greeter: {type: greeter}`},
		"nobody has the tool": {"agents:\n  greeter: {type: worker}\n  host: {type: host}\n",
			`FILE:3:3: agent host requires greeter.greet, and greeter has no tool "greet"; known: hang, panic, print, wait`},
		"an unknown config": {"agents:\n  a: {type: greeter, config: {greting: Hi}}\n",
			`FILE:2:31: agents.a.config: unknown key "greting"; did you mean "greeting"?`},
		"a wrong config": {"agents:\n  greeter: {type: greeter, config: {greeting: 3}}\n  host: {type: host}\n",
			`FILE:2:47: agents.greeter.config.greeting: wants text, not the number 3; write it in quotes: "3"`},
		"a duration of no unit": {"agents:\n  a: {type: once, timeout: 3}\n",
			`FILE:2:28: agents.a.timeout: wants a duration with a unit, not the number 3; write a number and a unit: "300ms", "3s", "5m"`},
		"a wrong name": {"agents:\n  A_b: {type: once}\n",
			`FILE:2:3: agents.A_b: "A_b" is not a name for an agent; lower-case letters, digits and hyphens, a letter first, at most 32`},
		"a name that is taken": {"agents:\n  openmas: {type: once}\n",
			`FILE:2:3: agents.openmas: the name is taken: it is the runtime's own agent; give the agent another ` +
				`name`},
		"an unset variable": {"agents:\n  a: {type: greeter, config: {token: \"${env:NOT_SET}\"}}\n",
			`FILE:2:38: agents.a.config.token: the environment variable NOT_SET is not set; set it where openmas is ` +
				`started: export NOT_SET=VALUE`},
		"an unknown exposure": {"agents:\n  a: {type: once}\ngateway: {expose: [b]}\n",
			`FILE:3:20: gateway.expose[0]: there is no agent "b"; known: a, openmas`},
		"an unknown exposure and more": {"agents:\n  a: {type: greter}\ngateway: {expose: [b]}\n",
			`FILE:2:13: agent a: this program has no type "greter"; did you mean "greeter"?
FILE:3:20: gateway.expose[0]: there is no agent "b"; known: a, openmas`},
		"an unknown tool": {"agents:\n  a: {type: worker}\ngateway: {expose: [a.prnt]}\n",
			`FILE:3:20: gateway.expose[0]: a has no tool "prnt"; did you mean "print"?`},
		"a policy for an unknown tool": {"agents:\n  a: {type: worker, tools: {prnt: {timeout: 3s}}}\n",
			`FILE:2:29: agent a has no tool "prnt"; did you mean "print"?`},
		"no mapping": {"- a\n- b\n",
			`FILE:1:1: a project file is a mapping ("key: value" lines), not a list; it starts with "project: NAME" and "agents:"`},
		"no YAML": {"agents: {a: {type: once}\n",
			`FILE:1:9: not valid YAML: this { is never closed; write } where the mapping ends`},
		"an empty file": {"", `FILE: the file is empty; a project needs at least one agent: agents: {NAME: {type: TYPE}}`},
		"no agents": {"project: x\n",
			`FILE: agents: the project has no agents; add one: agents: {NAME: {type: TYPE}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := projectFile(t, tt.yaml)
			want := "openmas: " + strings.ReplaceAll(tt.want, "FILE", path) + "\n"
			for _, args := range [][]string{{"run", path}, {"list", "-p", path}} {
				r := run(t, "", args...)
				if r.code != exitUsage || r.err != want || r.out != "" {
					t.Errorf("%q: exit %d, out %q, err\n%s\nwant\n%s", args, r.code, r.out, r.err, want)
				}
			}
			nothingStarted(t, path)
		})
	}
}

func TestNoProject(t *testing.T) {
	t.Chdir(t.TempDir())
	want := "openmas: no-such.yaml: there is no such file; name a project file; by default it is openmas.yaml, then " +
		filepath.Join("configs", "project.yaml") + "\n"
	if r := run(t, "", "run", "no-such.yaml"); r.code != exitUsage || r.err != want {
		t.Errorf("exit %d, %s, want %s", r.code, r.err, want)
	}
	if r := run(t, "", "validate", "no-such.yaml"); r.code != exitUsage || r.err != want {
		t.Errorf("validate: exit %d, %s, want %s", r.code, r.err, want)
	}
	if r := run(t, "", "run"); r.code != exitUsage || !strings.HasPrefix(r.err, "openmas: no project file: neither "+
		"openmas.yaml nor ") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	if r := run(t, "", "run", "."); r.code != exitUsage || !strings.HasPrefix(r.err, "openmas: .: is a folder, not a "+
		"project file") {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
}

// openmas.yaml comes before configs/project.yaml.
func TestTheProjectOfAFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("configs", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join("configs", "project.yaml"), "openmas.yaml"} {
		if err := os.WriteFile(name, []byte("agents: {a: {type: once}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := run(t, "", "validate"); r.code != exitOK || r.out != name+" is fine: 1 agent\n" {
			t.Errorf("exit %d, %q, %q, want %s", r.code, r.out, r.err, name)
		}
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := projectFile(t, "agents:\n  greeter: {type: greeter}\n")
	r := run(t, "", "run", path, "--listen", ln.Addr().String())
	if r.code != exitFailed || !strings.Contains(r.err, ln.Addr().String()+" is in use") ||
		strings.Count(r.err, "\n") != 1 {
		t.Errorf("exit %d, %s", r.code, r.err)
	}
	nothingStarted(t, path)
}

func TestWrongUsage(t *testing.T) {
	path := projectFile(t, "agents:\n  a: {type: once}\n")
	tests := map[string]struct {
		args []string
		want string
	}{
		"an unknown command": {[]string{"rum"}, `unknown command "rum" for "openmas"`},
		"an unknown flag":    {[]string{"run", "--loud"}, "unknown flag: --loud\nSee 'openmas run --help'"},
		"a flag with a typo": {[]string{"run", "--onec"}, "unknown flag: --onec; did you mean --once?"},
		"two projects": {[]string{"run", path, path}, "accepts at most 1 arg(s), received 2\nUsage: openmas " +
			"run [PROJECT] [flags]"},
		"a project as an argument": {[]string{"list", path}, `"openmas list" takes no arguments; a project file is ` +
			`given with -p`},
		"the same further down": {[]string{"events", "dead", path}, `"openmas events dead" takes no arguments; a ` +
			`project file is given with -p`},
		"a project twice": {[]string{"run", path, "-p", path}, "the project file is given twice"},
		"-f for a file":   {[]string{"run", "-f", path}, "'f' in -f; a project file is given with -p"},
		"an unknown part": {[]string{"events", "bury"}, `unknown command "bury" for "openmas events"`},
		"call without a tool": {[]string{"call"}, "name what to call: openmas call AGENT.TOOL; openmas list shows " +
			"the agents and tools\nUsage: openmas call AGENT.TOOL"},
		"a bare tool": {[]string{"call", "greet", "--project", path}, "name the tool as AGENT.TOOL"},
		"a project and a URL": {[]string{"call", "a.b", "--project", path, "--url", "http://127.0.0.1:1"},
			"or --command: one of them"},
		"a wrong timeout": {[]string{"call", "a.b", "--timeout", "3"},
			"invalid argument \"3\" for \"--timeout\""},
		"a timeout of the past": {[]string{"call", "a.b", "--timeout", "-1s"},
			"--timeout -1s: want a time above 0"},
		"a wait of the past":      {[]string{"run", path, "--wait", "-1s"}, "--wait -1s: want a time, or 0"},
		"an empty command":        {[]string{"call", "a.b", "--command", ""}, "--command: it is empty"},
		"an empty URL":            {[]string{"call", "a.b", "--url", ""}, `--url "": want http://host:port`},
		"an empty address":        {[]string{"run", path, "--listen", ""}, `--listen "": want host:port`},
		"a port beyond the last":  {[]string{"run", path, "--listen", "127.0.0.1:99999"}, "there is no port 99999"},
		"a URL of no such a port": {[]string{"list", "--url", "http://127.0.0.1:99999"}, "there is no port 99999"},
		"an unknown log level": {[]string{"run", path, "--log-level", "loud"},
			`--log-level "loud": want trace, debug, info, warn or error`},
		"an unknown log format": {[]string{"run", path, "--log-format", "xml"},
			`--log-format "xml": want text or json`},
		"a part, and no broker": {[]string{"run", path, "--agents", "a"}, "needs a broker that other processes can " +
			"reach"},
		"an unknown key": {[]string{"run", path, "--set", "agents.a.tiemout=3s"},
			`--set agents.a.tiemout: unknown key "tiemout" in agents.a; did you mean "timeout"?`},
		"no key at all":         {[]string{"run", path, "--set", "x"}, "there is no = after the key"},
		"an unknown profile":    {[]string{"run", path, "--profile", "prod"}, "there is no such file for the profile"},
		"an address of no port": {[]string{"run", path, "--listen", "localhost"}, `"localhost" is not an address`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := run(t, "", tt.args...)
			if r.code != exitUsage || !strings.Contains(r.err, tt.want) || r.out != "" {
				t.Errorf("exit %d, out %q, err %q; want 2 and %q", r.code, r.out, r.err, tt.want)
			}
		})
	}
	nothingStarted(t, path)
}
