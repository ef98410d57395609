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
	titled.Raw = json.RawMessage(`[]`)
	if b, err := json.Marshal(titled); err == nil {
		t.Errorf("a description that is no object is written as %s", b)
	}
	for _, own := range []string{
		`{"name":"n","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}`,
		`{"name":"n","title":"T","description":"d","inputSchema":{},"outputSchema":{"x":1}}`,
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
