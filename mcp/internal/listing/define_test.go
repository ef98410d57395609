package listing

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/schema"
)

// What people read of a foreign definition steers no terminal; all else stays as it came.
func TestDefinitionsAreClean(t *testing.T) {
	var check schema.Checker
	same := func(uri string) string { return uri }
	const odd = `a\u001b[31mb\u202ec\u009bd\ne` + "\u2066f\u007f\u200e\u00e9\t"
	const clean = `a[31mbcd\ne` + "f\u200e\u00e9"
	raw := `{"name":"t","title":"` + strings.TrimSuffix(odd, "\t") + `", "description": "` +
		strings.TrimSuffix(odd, "\t") + `","annotations":{"title":"` + strings.TrimSuffix(odd, "\t") +
		`","n":1.00},"inputSchema":{"type":"object","properties":{"p":{"const":"\u001b"}}},"_meta":{"x":"\u202e"}}`
	var tool agent.ToolInfo
	if err := json.Unmarshal([]byte(raw), &tool); err != nil {
		t.Fatal(err)
	}
	item, _ := Tool(tool, "s_t", same, &check)
	got := string(item.JSON)
	if n := strings.Count(got, clean); n != 3 {
		t.Errorf("%d of 3 texts in %s", n, got)
	}
	for _, kept := range []string{`"const":"\u001b"`, `"n":1.00`, `"_meta":{"x":"\u202e"}`} {
		if !strings.Contains(got, kept) {
			t.Errorf("no %s in %s", kept, got)
		}
	}
	var plain agent.ToolInfo
	whole := `{"name":"s_t","title":"\u00e9 \"x\"","description":"a\nb","inputSchema":{"type":"object"}}`
	if err := json.Unmarshal([]byte(whole), &plain); err != nil {
		t.Fatal(err)
	}
	if item, _ := Tool(plain, "s_t", same, &check); string(item.JSON) != whole {
		t.Errorf("got  %s\nwant %s", item.JSON, whole)
	}
	var prompt agent.PromptInfo
	if err := json.Unmarshal([]byte(`{"name":"p","arguments":[{"name":"q","description":"x\u001by"}, {"name":"r"}]}`),
		&prompt); err != nil {
		t.Fatal(err)
	}
	if got := string(Prompt(prompt, "s_p").JSON); !strings.Contains(got, `"description":"xy"`) {
		t.Error(got)
	}
	var resource agent.ResourceInfo
	if err := json.Unmarshal([]byte(`{"uri":"x:y","name":"n\u202em"}`), &resource); err != nil {
		t.Fatal(err)
	}
	if got := string(Resource(resource, "x:y").JSON); !strings.Contains(got, `"name":"nm"`) {
		t.Error(got)
	}
}
