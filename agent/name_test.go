package agent_test

import (
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name               string
		agent, tool, topic bool
	}{
		{"a", true, true, true},
		{"geo-2", true, true, true},
		{"zaz09", true, true, true},
		{"read_file", false, true, true},
		{"file.found", false, false, true},
		{"file..found", false, false, false},
		{"file.", false, false, false},
		{"", false, false, false},
		{"2geo", false, false, false},
		{"-geo", false, false, false},
		{"Geo", false, false, false},
		{"geo!", false, false, false},
		{"gëo", false, false, false},
		{"geo\n", false, false, false},
		{strings.Repeat("a", 32), true, true, true},
		{strings.Repeat("a", 33), false, true, true},
		{strings.Repeat("a", 64), false, true, true},
		{strings.Repeat("a", 65), false, false, true},
		{strings.Repeat("a", 128), false, false, true},
		{strings.Repeat("a", 129), false, false, false},
	} {
		for what, got := range map[string]struct {
			err error
			ok  bool
		}{"agent": {agent.CheckAgentName(tt.name), tt.agent}, "tool": {agent.CheckToolName(tt.name), tt.tool},
			"topic": {agent.CheckTopic(tt.name), tt.topic}} {
			if (got.err == nil) != got.ok {
				t.Errorf("%q as the name of a %s: %v", tt.name, what, got.err)
			}
			if got.err != nil {
				wantCode(t, got.err, agent.CodeInvalidArgument, false)
			}
		}
	}
}

func TestSplitName(t *testing.T) {
	for in, want := range map[string][2]string{"a.b": {"a", "b"}, "a.b.c": {"a", "b.c"}, "a": {}, ".b": {}, "a.": {},
		"": {}} {
		a, n, ok := agent.SplitName(in)
		if ok != (want[0] != "") || ok && (a != want[0] || n != want[1]) {
			t.Errorf("SplitName(%q) = %q, %q, %v", in, a, n, ok)
		}
	}
}
