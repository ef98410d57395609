package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

// Everything that an agent says of what it offers is in the lists for clients.
func TestDefinitionsForClients(t *testing.T) {
	no := false
	for _, c := range []struct {
		got  any
		want string
	}{
		{ToTool(agent.ToolInfo{Name: "t", Title: "T", Description: "d",
			OutputSchema: json.RawMessage(`{"type":"object"}`),
			Annotations:  &agent.Annotations{ReadOnly: true, Idempotent: true, Destructive: &no, OpenWorld: &no}},
			"a_t"),
			`{"annotations":{"destructiveHint":false,"idempotentHint":true,"openWorldHint":false,` +
				`"readOnlyHint":true},"description":"d","inputSchema":{"type":"object"},"name":"a_t",` +
				`"outputSchema":{"type":"object"},"title":"T"}`},
		{ToTool(agent.ToolInfo{Name: "t", OutputSchema: json.RawMessage(`{"type":"array"}`)}, "a_t"),
			`{"inputSchema":{"type":"object"},"name":"a_t"}`},
		{ToPrompt(agent.PromptInfo{Name: "p", Title: "P", Description: "d", Arguments: []agent.PromptArgument{
			{Name: "x", Title: "X", Description: "e", Required: true}, {Name: "y"}}}, "a_p"),
			`{"arguments":[{"description":"e","name":"x","required":true,"title":"X"},{"name":"y"}],` +
				`"description":"d","name":"a_p","title":"P"}`},
		{ToResource(agent.ResourceInfo{URI: "a://b", Name: "r", Title: "R", Description: "d", MIMEType: "m"}),
			`{"description":"d","mimeType":"m","name":"r","title":"R","uri":"a://b"}`},
		{ToTemplate(agent.ResourceInfo{Template: "a://{b}", Name: "r", Title: "R", Description: "d", MIMEType: "m"}),
			`{"description":"d","mimeType":"m","name":"r","title":"R","uriTemplate":"a://{b}"}`},
		{CompleteRef("p"), `{"name":"p","type":"ref/prompt"}`},
		{CompleteRef("a://b"), `{"type":"ref/resource","uri":"a://b"}`},
		{CompleteRef("{b}"), `{"type":"ref/resource","uri":"{b}"}`},
	} {
		var sorted any
		if err := json.Unmarshal(encoded(t, c.got), &sorted); err != nil {
			t.Fatal(err)
		}
		if got := encoded(t, sorted); string(got) != c.want {
			t.Errorf("%T\n got %s\nwant %s", c.got, got, c.want)
		}
	}
}

// What our agents say beyond MCP arrives at our own clients; of others only the topics are
// believed.
func TestWhatMCPHasNoWordFor(t *testing.T) {
	in := agent.Info{Subscriptions: []agent.SubscriptionInfo{{Topic: "a.b"}}, Keeper: "k"}
	caps := &sdk.ServerCapabilities{Experimental: ToExperimental(in)}
	for _, trusted := range []bool{true, false} {
		var out agent.Info
		FromExperimental(caps, &out, trusted)
		if len(out.Subscriptions) != 1 || out.Subscriptions[0].Topic != "a.b" || (out.Keeper == "k") != trusted {
			t.Errorf("trusted %v: %+v", trusted, out)
		}
	}
	for _, caps := range []*sdk.ServerCapabilities{nil, {}, {Experimental: map[string]any{"openmas": "x"}}} {
		var out agent.Info
		if FromExperimental(caps, &out, true); out.Subscriptions != nil || out.Keeper != "" {
			t.Errorf("%+v of %+v", out, caps)
		}
	}
}

// A list comes in pages. One bad item costs itself only.
func TestPages(t *testing.T) {
	deep := strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)
	for in, want := range map[string]string{
		`{"tools":[{"a":1.0},7],"nextCursor":"n"}`: `{"a":1.0} 7, next "n", <nil>`,
		`{"tools":[]}`:                     `, next "", <nil>`,
		`{}`:                               `, next "", <nil>`,
		`{"tools":null,"nextCursor":null}`: `, next "", <nil>`,
		`{"tools":{ },"nextCursor":5}`:     `, next "", its nextCursor is a number, not a string`,
		`{"nextCursor":"n","tools":[{"a":NaN},{"b":1}]}`:      `{"a":NaN} {"b":1}, next "n", <nil>`,
		`{"tools":[{"a":NaN}],"nextCursor":"n","x":{"y":[]}}`: `{"a":NaN}, next "n", <nil>`,

		`{"tools":[` + deep + `]}`: deep + `, next "", <nil>`,
		`{"tools":{"a":1}}`:        `, next "", the result's tools are an object, not a list`,
		`{"tools":"x"}`:            `, next "", the result's tools are a string, not a list`,
		`{"tools":{"a":NaN}}`:      `, next "", the result cannot be read: it is no JSON`,
		`[]`:                       `, next "", the result is a list, not an object`,
	} {
		items, next, err := ReadPage(json.RawMessage(in), "tools")
		var all []string
		for _, item := range items {
			all = append(all, string(item))
		}
		if got := fmt.Sprintf("%s, next %q, %v", strings.Join(all, " "), next, err); got != want {
			t.Errorf("%.200s:\n got %.200s\nwant %.200s", in, got, want)
		}
	}
}

// The SDK's client hears of the tools that want arguments in headers, and of no others.
func TestHeaderTools(t *testing.T) {
	const wants = `{"name":"h","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"}}}}`
	for in, want := range map[string]string{
		`{"tools":[{"name":"a","inputSchema":{}},` + wants + `,7,{"inputSchema":5}]}`: `{"tools":[` + wants + `]}`,
		`{"tools":[]}`: `{"tools":[]}`,
		`7`:            `{"tools":[]}`,
	} {
		if got := HeaderTools(json.RawMessage(in)); string(got) != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got, want)
		}
	}
}

// A definition that is no JSON, or too deep for others, still has its name for the warning.
func TestNamesOfDefinitionsThatAreNoJSON(t *testing.T) {
	deep := strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth)
	for in, want := range map[string]string{
		`{"name":"bad","x":NaN}`:                              "it is no JSON: ",
		`{"name":"bad","x":` + deep + `}`:                     "it nests 129 levels deep, over the limit of 128",
		`{"name":"bad","x":1e999}`:                            "in its x the number 1e999 is out of range",
		`{"name":"bad","description":"d","execution":[null]}`: "its execution is a list",
	} {
		if tool, err := ReadTool(json.RawMessage(in), nil); err == nil || !strings.HasPrefix(err.Error(), want) ||
			tool.Name != "bad" {
			t.Errorf("%.100s: %q, %v", in, tool.Name, err)
		}
	}
	if _, err := ReadTool(json.RawMessage(`{"name":"t","x":`+deep[:len(deep)-2]+`}`), nil); err == nil {
		t.Error("a definition that is cut off was read")
	}
	if tool, err := ReadTool(json.RawMessage(`{"name":"t","x":`+deep[5:len(deep)-1]+`}`), nil); err != nil {
		t.Errorf("%d levels: %v, %+v", maxDepth, err, tool)
	}
	p, err := ReadPrompt(json.RawMessage(`{"name":"p","title":"P","description":"d","arguments":`+
		`[{"name":"a","title":"A","description":"e","required":true},{"name":"b","required":false}]}`), nil)
	if want := []agent.PromptArgument{{Name: "a", Title: "A", Description: "e", Required: true},
		{Name: "b"}}; err != nil ||
		p.Title != "P" || p.Description != "d" || fmt.Sprint(p.Arguments) != fmt.Sprint(want) {
		t.Errorf("%v, %+v", err, p)
	}
	tool, err := ReadTool(json.RawMessage(
		`{"name":"t","annotations":{"destructiveHint":false,"idempotentHint":true}}`), nil)
	if a := tool.Annotations; err != nil || a.Destructive == nil || *a.Destructive || a.OpenWorld != nil ||
		!a.Idempotent ||
		a.ReadOnly {
		t.Errorf("%v, %+v", err, tool.Annotations)
	}
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]slog.Level{"debug": -4, "info": 0, "notice": 2, "warning": 4, "error": 8,
		"critical": 12, "alert": 16, "emergency": 20, "": 0, "loud": 0} {
		if got := FromLevel(name); got != want {
			t.Errorf("%q is %v, want %v", name, got, want)
		}
	}
}

func TestErrorsOfNamesThatAreUnknown(t *testing.T) {
	e, ok := FromRPCError(UnknownName(`unknown tool "a_b"`, ""), true)
	if err := UnknownName(`unknown tool "a_b"`, ""); !ok || e.Code != agent.CodeNotFound || !e.NotExecuted ||
		!strings.Contains(err.Error(), `unknown tool "a_b"`) || strings.Contains(err.Error(), "not_found") {
		t.Errorf("%v: %+v", err, e)
	}
	if _, ok := FromRPCError(errors.New("x"), false); ok {
		t.Error("an error without a code was taken for one with")
	}
}
