package cli

import (
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
)

// A program of another name has that name in its help, its errors and its hints, but for commands
// that only openmas has.
func TestProgramOfAnotherName(t *testing.T) {
	path := projectFile(t, "agents: {greeter: {type: greeter}, notes: {command: [no-such-program]}}")
	named := func(args ...string) result {
		var out, errOut testkit.Buffer
		p := Program{Name: "depot-2", Types: types(), Version: testVersion, Environ: []string{}}
		code := Run(t.Context(), p, args, Streams{In: strings.NewReader(""), Out: &out, Err: &errOut})
		return result{code, out.String(), errOut.String()}
	}
	for line, want := range map[string][]string{
		"--help":              {"depot-2 is a project", "\n  depot-2 run ", "depot-2 [command] --help"},
		"call --help":         {"depot-2 call AGENT.TOOL [", "\n  depot-2 call geo.locate "},
		"stop --help":         {"as depot-2 status\nshows them", "until depot-2 start"},
		"version":             {"depot-2 " + testVersion + "\n"},
		"completion --help":   {"source <(depot-2 completion bash)"},
		"completion bash":     {"__depot_2_init_completion", "complete -o default -F __start_depot-2 depot-2"},
		"status -p " + path:   {"depot-2: no process of ", ": depot-2 run starts one"},
		"sttus":               {`depot-2: unknown command "sttus" for "depot-2"; did you mean "depot-2 status"?`},
		"build":               {`depot-2: unknown command "build"`, "the openmas command has it"},
		"kill":                {"; depot-2 stop --all, or"},
		"validate " + path:    {"openmas doctor shows all that is missing"},
		"call x.y -p " + path: {"depot-2: project openmas does not run", "depot-2 list -p "},
	} {
		r := named(strings.Fields(line)...)
		for _, w := range want {
			if !strings.Contains(r.out+r.err, w) {
				t.Errorf("%s: no %q in %+v", line, w, r)
			}
		}
		for _, c := range []string{"run", "call", "list", "status", "stop", "start", "completion"} {
			if strings.Contains(r.out+r.err, "openmas "+c) {
				t.Errorf("%s: openmas %s in %+v", line, c, r)
			}
		}
	}
}
