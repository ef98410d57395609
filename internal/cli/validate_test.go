package cli

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

var update = flag.Bool("update", false, "write the golden files in testdata anew")

// requirer requires what a test says.
type requirer []agent.Requirement

func (r requirer) Capabilities() agent.Capabilities { return agent.Capabilities{Requires: r} }

// scale has a tool whose types say much.
type scale struct{}

func (scale) Capabilities() agent.Capabilities {
	type weighed struct {
		Grams float64  `json:"grams"`
		Notes []string `json:"notes,omitempty"`
	}
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("weigh", "Weigh a thing.",
		func(context.Context, map[string]any) (weighed, error) { return weighed{}, nil },
		agent.WithInputSchema(json.RawMessage(`{"type": "object", "additionalProperties": false, "required": ["thing"],
			"properties": {"thing": {"type": "string"}, "unit": {"enum": ["g", "kg"]},
				"parts": {"type": "array", "items": {"type": "integer"}}}}`)))}}
}

// wrongTypes are those of the tests' program, and some that do not go together.
func wrongTypes() agent.Types {
	type thing struct {
		Thing string `json:"thing"`
	}
	type typo struct {
		Ting string `json:"ting"`
	}
	type counted struct {
		Thing int       `json:"thing"`
		Parts []float64 `json:"parts"`
	}
	type inUnits struct {
		Thing string `json:"thing,omitempty"`
		Unit  string `json:"unit"`
	}
	type grams struct {
		Grams float64 `json:"grams"`
	}
	type pounds struct {
		Pounds float64 `json:"pounds"`
		Grams  string  `json:"grams"`
	}
	all := types()
	add := func(name string, requires ...agent.Requirement) {
		all[name] = func() agent.Agent { return requirer(requires) }
	}
	all["scale"] = func() agent.Agent { return scale{} }
	add("ping", agent.Require("pong"))
	add("pong", agent.Require("ping"))
	add("fits", agent.RequireTool[thing, grams]("scale.weigh"))
	add("typo", agent.RequireTool[typo, grams]("scale.weigh"))
	add("counted", agent.RequireTool[counted, grams]("scale.weigh"))
	add("units", agent.RequireTool[inUnits, pounds]("scale.weigh"))
	add("asks-text", agent.RequireTool[who, grams]("greeter.measure"))
	add("bare", agent.RequireTool[who, grams]("greeter"))
	add("far", agent.RequireTool[who, grams]("notes.find"))
	add("wants-find", agent.Require("notes.find"))
	return all
}

// validateWrong runs openmas validate with these types.
func validateWrong(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut testkit.Buffer
	code := Run(t.Context(), Program{Types: wrongTypes(), Version: testVersion, Environ: []string{}},
		append([]string{"validate"}, args...), Streams{In: strings.NewReader(""), Out: &out, Err: &errOut})
	return result{code, out.String(), errOut.String()}
}

// wrongProjects are projects with something wrong or strange, each with a name.
var wrongProjects = []struct{ name, yaml string }{
	{"a typo in a key", "agents:\n  a: {type: once, comunicator: local}\n"},
	{"a typo in a section", "agent:\n  a: {type: once}\n"},
	{"a key of another section", "agents:\n  a: {type: once}\ngateway: {port: 8765}\n"},
	{"a key of the project at an agent", "agents:\n  a: {url: \"http://127.0.0.1:1/mcp\", connect: {timeout: 3s}}\n"},
	{"the start of a url", "agents:\n  a: {url: \"http://127.0.0.1:1/mcp\", start: {timeout: 3s}}\n"},
	{"no kind", "agents:\n  a: {communicator: local}\n"},
	{"two kinds", "agents:\n  a: {type: once, command: [x]}\n"},
	{"an unknown type", "agents:\n  a: {type: greter}\n"},
	{"an unknown word", "agents:\n  a: {type: once, communicator: mcp-stido}\n"},
	{"a word of another kind", "agents:\n  a: {command: [sh], communicator: local}\n"},
	{"two agents of one name", "agents:\n  a: {type: once}\n  b: {type: once}\n  a: {type: broken}\n"},
	{"a wrong name", "agents:\n  My_Agent: {type: once}\n"},
	{"a name that is taken", "agents:\n  openmas: {type: once}\n"},
	{"a wrong project name", "project: My Project\nagents:\n  a: {type: once}\n"},
	{"nobody provides it", "agents:\n  host: {type: host}\n"},
	{"a misspelt provider", "agents:\n  greter: {type: greeter}\n  host: {type: host}\n"},
	{"nobody has the tool", "agents:\n  greeter: {type: worker}\n  host: {type: host}\n"},
	{"an unknown config", "agents:\n  a: {type: greeter, config: {greting: Hi}}\n"},
	{"a config of another type", "agents:\n  a: {type: greeter, config: {greeting: 3}}\n"},
	{"a duration without a unit", "agents:\n  a: {type: once, timeout: 3}\n"},
	{"a number that is too small", "agents:\n  a: {type: once, replicas: 0}\n"},
	{"a size that is none", "agents:\n  a: {type: once}\nmcp: {max_body: 4MB}\n"},
	{"an unset variable", "agents:\n  a: {type: greeter, config: {token: \"${env:NOT_SET}\"}}\n"},
	{"a missing secret file", "agents:\n  a: {type: greeter, config: {token: \"${file:no/such}\"}}\n"},
	{"a shell's variable", "agents:\n  a: {command: [sh, -c, \"echo ${HOME}\"]}\n"},
	{"an unknown exposure", "agents:\n  a: {type: once}\ngateway: {expose: [b]}\n"},
	{"an unknown tool", "agents:\n  a: {type: worker}\ngateway: {expose: [a.prnt]}\n"},
	{"a policy for an unknown tool", "agents:\n  a: {type: worker, tools: {prnt: {timeout: 3s}}}\n"},
	{"an open gateway", "agents:\n  a: {type: worker}\ngateway: {listen: \"0.0.0.0:8765\"}\n"},
	{"an address that is none", "agents:\n  a: {type: worker}\ngateway: {listen: localhost}\n"},
	{"a list", "- a\n- b\n"},
	{"a bracket that is open", "agents: {a: {type: once}\n"},
	{"a tab", "agents:\n\ta: {type: once}\n"},
	{"an empty file", ""},
	{"no agents", "project: x\n"},
	{"a program that is not there", "agents:\n  a: {command: [no-such-program]}\n"},
	{"a folder of home", "agents:\n  a: {command: [\"~/bin/tool\"]}\n"},
	{"many faults", "project: My Project\nagents:\n  a: {type: once, comunicator: local, timeout: 3}\n" +
		"  b: {communicator: local}\ngateway: {listen: \"8765\"}\n"},

	{"faults of the file and of its agents", "agents:\n  greeter: {type: greetr, comunicator: local}\n" +
		"  host: {type: host, timeout: 3}\n  b: {tpye: once}\ngateway: {listen: \"0.0.0.0:8765\", expose: [hots]}\n"},

	{"a circle of requirements", "agents:\n  ping: {type: ping}\n  pong: {type: pong}\n"},
	{"types that fit", "agents:\n  scale: {type: scale}\n  a: {type: fits}\n"},
	{"a member that is misspelt", "agents:\n  scale: {type: scale}\n  a: {type: typo}\n"},
	{"members of other types", "agents:\n  scale: {type: scale}\n  a: {type: counted}\n"},
	{"an answer of another type", "agents:\n  scale: {type: scale}\n  a: {type: units}\n"},
	{"types that are not known", "agents:\n  greeter: {type: greeter}\n  a: {type: asks-text}\n"},
	{"types of a foreign server", "agents:\n  notes: {url: \"http://127.0.0.1:1/mcp\"}\n  a: {type: far}\n"},
	{"a requirement without a tool", "agents:\n  greeter: {type: greeter}\n  a: {type: bare}\n"},
	{"a tool that is hidden", "agents:\n  notes:\n    url: http://127.0.0.1:1/mcp\n    allow_tools: [fnd]\n" +
		"    tools: {list: {timeout: 3s}}\n  a: {type: wants-find}\ngateway: {expose: [a, notes.read]}\n"},
	{"nobody reaches it", "agents:\n  a: {type: worker}\n  b: {type: worker}\ngateway: {expose: [a]}\n"},
	{"ports that clash", "agents:\n  a: {type: worker}\ngateway: {listen: \"127.0.0.1:8765\"}\n" +
		"ops: {listen: \"localhost:8765\"}\n"},
	{"its own gateway", "agents:\n  a: {url: \"http://localhost:8765/mcp\"}\ngateway: {}\n"},
	{"secrets in clear", "agents:\n  a:\n    url: https://example.org/mcp\n    token: a-token-of-mine\n" +
		"  b: {command: [sh], env: {API_KEY: sk-12345678, LANG: C}}\n" +
		"gateway: {tokens: {ann: \"0123456789abcdef\"}}\n"},
	{"no time for a retry", "agents:\n  a: {type: worker, timeout: 2s, retry: {initial: 5s}}\n"},
	{"a budget without an effect", "agents:\n  a: {type: worker, timeout: 5s, budget: {duration: 1m}}\n"},
	{"limits that contradict", "agents:\n  a: {type: worker}\nlimits: {memory: 1MiB, session_memory: 4MiB}\n"},
}

// same compares a text with that of a golden file, or writes it there.
func same(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Fatalf("line %d of %s (go test ./internal/cli -run Wrong -update):\ngot  %s\nwant %s", i+1, path, g[i],
				w[i])
		}
	}
	if len(g) != len(w) {
		t.Errorf("%s: %d lines, want %d", path, len(g), len(w))
	}
}

// testdata/validate.golden has the answer to each wrong project. Read it as somebody who wrote the
// project: would you know what to type next?
func TestWrongProjects(t *testing.T) {
	var golden strings.Builder
	for _, tt := range wrongProjects {
		path := projectFile(t, tt.yaml)
		r := validateWrong(t, path)
		answer := strings.NewReplacer(path, "openmas.yaml", filepath.Dir(path), "FOLDER").Replace(r.err + r.out)
		golden.WriteString("## " + tt.name + "\n\n" + tt.yaml + "\n" + answer + "\n")
		wrong := strings.Contains(answer, "error: ")
		if (r.code == exitUsage) != wrong || r.code != exitUsage && r.code != exitOK {
			t.Errorf("%s: exit %d, %s", tt.name, r.code, answer)
		}
		for line := range strings.Lines(answer) {
			if strings.Contains(line, "12345678") || strings.Contains(line, "a-token-of-mine") {
				t.Errorf("%s: a secret is shown: %s", tt.name, line)
			}
		}
		if j := validateWrong(t, path, "--json"); j.code != r.code || j.err != "" ||
			!json.Valid([]byte(j.out)) {
			t.Errorf("%s: --json: %+v", tt.name, j)
		}
		nothingStarted(t, path)
	}
	same(t, filepath.Join("testdata", "validate.golden"), golden.String())
	if len(wrongProjects) < 40 {
		t.Errorf("only %d projects", len(wrongProjects))
	}
}

// A project that is wrong is looked at as far as it can be read, whatever that is.
func FuzzValidate(f *testing.F) {
	for _, p := range wrongProjects {
		f.Add(p.yaml)
	}
	f.Fuzz(func(t *testing.T, yaml string) {
		r := validateWrong(t, projectFile(t, yaml))
		wrong := strings.Contains(r.err, "error: ")
		if (r.code == exitUsage) != wrong || wrong && r.out != "" {
			t.Errorf("exit %d, out %q, err %q", r.code, r.out, r.err)
		}
	})
}
