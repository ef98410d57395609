package cli

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

func TestShowList(t *testing.T) {
	h, err := agent.NewHost(agent.Env{Name: "greeter"}, (&greeter{}).Capabilities())
	if err != nil {
		t.Fatal(err)
	}
	bare := h.Info()
	bare.Name = "" // a plain server: its tools go by their own names
	tests := map[string]struct {
		infos []agent.Info
		want  string
	}{
		"one that is not there": {[]agent.Info{{Name: "ill"}}, `
ill
  ill/0: failed it has no program
`},
		"agents": {[]agent.Info{h.Info(), {Name: "idle"}}, `
greeter                        Greets people.
  greeter.greet(name, loud?)   Greet somebody.
  greeter.measure(name, loud?) Measure a name.
  prompt greeter.toast(topic, tone?) Propose a toast.
  resource greet://book        The guest book.
  subscription guest.came
idle
`},
		"a server": {[]agent.Info{bare}, `
  greet(name, loud?)        Greet somebody.
  measure(name, loud?)      Measure a name.
  prompt toast(topic, tone?) Propose a toast.
  resource greet://book     The guest book.
  subscription guest.came
`},
		"nothing": {nil, "\n"},
	}
	instances := map[string][]runtime.InstanceStatus{"idle": {{ID: "idle/0", State: runtime.StateReady}},
		"ill": {{ID: "ill/0", State: runtime.StateFailed, Error: "it has no program\nand more"}}}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := showList(&b, runtime.Listing{Agents: tt.infos, Instances: instances}); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), " \n") {
				t.Errorf("a line ends with a space: %q", b.String())
			}
			if got, want := words(b.String()), words(tt.want); !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}

// words are the words of each line, so that the width of columns is left to the table.
func words(s string) [][]string {
	var out [][]string
	for line := range strings.Lines(strings.Trim(s, "\n")) {
		out = append(out, strings.Fields(line))
	}
	return out
}

func TestParameters(t *testing.T) {
	tests := map[string]struct {
		schema string
		want   []string
	}{
		"in the schema's order": {`{"properties": {"z": {"type": "object", "properties": {"in": {}}}, "a": {}, "m": {}}}`, []string{"z?", "a?", "m?"}},
		"the required first": {`{"properties": {"z": {}, "y": {}, "b": {}, "a": {}}, "required": ["a", "y"]}`,
			[]string{"y", "a", "z?", "b?"}},
		"none":           {`{"type": "object"}`, nil},
		"no schema":      {``, nil},
		"any":            {`true`, nil},
		"odd properties": {`{"properties": []}`, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := parameters(json.RawMessage(tt.schema)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
