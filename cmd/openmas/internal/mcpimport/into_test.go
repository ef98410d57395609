package mcpimport

import (
	"strings"
	"testing"
)

func TestInto(t *testing.T) {
	agents, _, err := Read([]byte(`{"mcpServers": {"new": {"command": "x"}, "old": {"command": "y"}}}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ before, after, skipped string }{
		"none yet":         {"", "agents:\n  new:\n    command: [\"x\"]\n  old:\n    command: [\"y\"]\n", ""},
		"no agents":        {"project: p # mine\n", "project: p # mine\nagents:\n  new:\n    command: [\"x\"]\n  old:\n    command: [\"y\"]\n", ""},
		"agents of no one": {"agents: # soon\nproject: p\n", "agents: # soon\n  new:\n    command: [\"x\"]\n  old:\n    command: [\"y\"]\nproject: p\n", ""},
		"one that is there": {"agents:\n    old: {command: [z]} # as it is", "agents:\n    old: {command: [z]} # as it is\n    new:\n      command: [\"x\"]\n",
			"old"},
		"keys behind": {"agents:\n  old: {command: [z]}\n  # a comment of agents\n\n# of the broker\nbroker: {type: memory}\n",
			"agents:\n  old: {command: [z]}\n  # a comment of agents\n  new:\n    command: [\"x\"]\n\n# of the broker\nbroker: {type: memory}\n", "old"},
		"a text of many lines": {"agents:\n  old:\n    command:\n    - sh\n    - |\n      # no comment\n\nproject: p\n",
			"agents:\n  old:\n    command:\n    - sh\n    - |\n      # no comment\n  new:\n    command: [\"x\"]\n\nproject: p\n", "old"},
		"in one line": {"agents: {old: {command: [z]}}\n", "", ""},
		"no mapping":  {"- a\n", "", ""},
		"not YAML":    {"a: [\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, skipped, err := Into([]byte(tt.before), agents)
			if tt.after == "" {
				if err == nil {
					t.Errorf("%s", got)
				}
				return
			}
			if err != nil || string(got) != tt.after || strings.Join(skipped, " ") != tt.skipped {
				t.Errorf("%v, skipped %v\n%s", err, skipped, got)
			}
			loads(t, string(got))
			again, skipped, err := Into(got, agents)
			if err != nil || string(again) != string(got) || len(skipped) != 2 {
				t.Errorf("again: %v, skipped %v\n%s", err, skipped, again)
			}
		})
	}
}

// A server that is disabled is one comment, however often it is imported.
func TestIntoComment(t *testing.T) {
	agents, _, err := Read([]byte(`{"mcpServers": {"new": {"command": "x"}, "off": {"command": "y", "disabled": true}}}`),
		Options{})
	if err != nil {
		t.Fatal(err)
	}
	once, _, err := Into(nil, agents)
	if err != nil || strings.Count(string(once), "# off:\n") != 1 {
		t.Fatalf("%v\n%s", err, once)
	}
	again, _, err := Into(once, agents)
	if err != nil || string(again) != string(once) {
		t.Errorf("%v\n%s", err, again)
	}
}
