package agent_test

import (
	"encoding/json"
	"testing"

	"github.com/openmas/openmas/agent"
)

// A description of a foreign server is written as it came, but for what was changed.
func TestDescriptionsOfForeignServers(t *testing.T) {
	const tool = `{"inputSchema":{"type":"object","b":1,"a":1.0},"icons":[{"src":"x"}],"name":"n","_meta":{"k":12345678901234567890}}`
	var info agent.ToolInfo
	if err := json.Unmarshal([]byte(tool), &info); err != nil || info.Name != "n" || string(info.Raw) != tool {
		t.Fatalf("%+v, %v", info, err)
	}
	for want, change := range map[string]func(*agent.ToolInfo){
		tool: func(*agent.ToolInfo) {},
		`{"inputSchema":{"type":"object","b":1,"a":1.0},"icons":[{"src":"x"}],"name":"other","_meta":{"k":12345678901234567890},"description":"d"}`: func(i *agent.ToolInfo) {
			i.Name, i.Description = "other", "d"
		},
		`{"name":"n","inputSchema":{"type":"object","b":1,"a":1.0}}`: func(i *agent.ToolInfo) { i.Raw = nil },
	} {
		changed := info
		change(&changed)
		if b, err := json.Marshal(changed); err != nil || string(b) != want {
			t.Errorf("it is written as\n%s, %v, want\n%s", b, err, want)
		}
	}
	titled := info
	titled.Raw = json.RawMessage(`{"title":"T","inputSchema":{"type":"object","b":1,"a":1.0},"name":"n"}`)
	if b, err := json.Marshal(titled); err != nil ||
		string(b) != `{"inputSchema":{"type":"object","b":1,"a":1.0},"name":"n"}` {
		t.Errorf("a member that was taken away: %s, %v", b, err)
	}
	for _, bad := range []string{`[]`, `null`, `7`, `{"name":7}`, `{`} {
		titled.Raw = json.RawMessage(bad)
		if b, err := titled.MarshalJSON(); err == nil {
			t.Errorf("over a description that is %s it is written as %s", bad, b)
		}
	}
	if b, err := (agent.ToolInfo{InputSchema: json.RawMessage("{")}).MarshalJSON(); err == nil {
		t.Errorf("a schema that is no JSON is written as %s", b)
	}
	for _, own := range []string{
		`{"name":"n","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`,
		`{"name":"n","title":"T","description":"d","inputSchema":{},"outputSchema":{"x":1}}`,
		`{"name":"n","description":"a < b & c","inputSchema":{}}`,
	} {
		var i agent.ToolInfo
		if err := json.Unmarshal([]byte(own), &i); err != nil || i.Raw != nil {
			t.Errorf("%s has the raw form %s, %v", own, i.Raw, err)
		}
	}
	const sorted = `{"description":"d","inputSchema":{"type":"object"},"name":"n"}` // as the Python SDK does
	var other agent.ToolInfo
	if err := json.Unmarshal([]byte(sorted), &other); err != nil || string(other.Raw) != sorted {
		t.Errorf("members in another order: %s, %v", other.Raw, err)
	}
	for raw, out := range map[string]any{`{"name":1}`: &agent.ToolInfo{}, `{"title":1}`: &agent.PromptInfo{},
		`{"uri":1}`: &agent.ResourceInfo{}} {
		if err := json.Unmarshal([]byte(raw), out); err == nil {
			t.Errorf("%s is read as %+v", raw, out)
		}
	}
	all := `{"name":"a","tools":[` + tool +
		`],"prompts":[{"name":"p","icons":[],"arguments":[{"name":"x","hint":1}]}],` +
		`"resources":[{"uri":"u:x","name":"r","size":5}],"subscriptions":[{"topic":"t"}]}`
	var a agent.Info
	if err := json.Unmarshal([]byte(all), &a); err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(a); err != nil || string(b) != all {
		t.Errorf("%s, %v, want\n%s", b, err, all)
	}
}

// A tool may be called again if it says so in one of two ways.
func TestRepeatable(t *testing.T) {
	for _, tt := range []struct {
		says *agent.Annotations
		want bool
	}{{nil, false}, {&agent.Annotations{}, false}, {&agent.Annotations{ReadOnly: true}, true},
		{&agent.Annotations{Idempotent: true}, true}} {
		if got := (agent.ToolInfo{Annotations: tt.says}).Repeatable(); got != tt.want {
			t.Errorf("%+v: %v", tt.says, got)
		}
	}
}
