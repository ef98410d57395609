package agent_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/openmas/openmas/agent"
)

// The forms on the right are those of MCP's schema.
func TestContentIsWrittenAsMCPDoes(t *testing.T) {
	annotated := agent.Text("x")
	annotated.Annotations, annotated.Meta = json.RawMessage(`{"priority":1}`), json.RawMessage(`{"k":1}`)
	link := agent.Link("file:///a", "a")
	link.Title, link.Description, link.MIMEType, link.Size = "A", "an a", "text/plain", 9
	for _, tt := range []struct {
		c    agent.Content
		want string
	}{
		{agent.Text("hi"), `{"type":"text","text":"hi"}`},
		{agent.Text(""), `{"type":"text","text":""}`},
		{annotated, `{"type":"text","text":"x","annotations":{"priority":1},"_meta":{"k":1}}`},
		{agent.Image([]byte{0, 255}, "image/png"), `{"type":"image","data":"AP8=","mimeType":"image/png"}`},
		{agent.Audio([]byte{}, "audio/wav"), `{"type":"audio","data":"","mimeType":"audio/wav"}`},
		{link, `{"type":"resource_link","mimeType":"text/plain","uri":"file:///a","name":"a","title":"A","description":"an a","size":9}`},
		{agent.Link("file:///a", ""), `{"type":"resource_link","uri":"file:///a","name":""}`},
		{agent.Embed(agent.ResourceContents{URI: "r://t", MIMEType: "text/plain", Text: "t"}),
			`{"type":"resource","resource":{"uri":"r://t","mimeType":"text/plain","text":"t"}}`},
		{agent.Embed(agent.ResourceContents{URI: "r://e"}), `{"type":"resource","resource":{"uri":"r://e","text":""}}`},
		{agent.Embed(agent.ResourceContents{URI: "r://b", Blob: []byte{255}}),
			`{"type":"resource","resource":{"uri":"r://b","blob":"/w=="}}`},
		{agent.Embed(agent.ResourceContents{URI: "r://b", Blob: []byte{}}),
			`{"type":"resource","resource":{"uri":"r://b","blob":""}}`},
		{agent.UseTool(agent.ToolUse{ID: "u1", Name: "add", Input: json.RawMessage(`{"a":1}`)}),
			`{"type":"tool_use","name":"add","id":"u1","input":{"a":1}}`},
		{agent.UsedTool(agent.ToolResult{UseID: "u1", Content: []agent.Content{agent.Text("2")},
			Structured: json.RawMessage(`{"sum":2}`), IsError: true}),
			`{"type":"tool_result","toolUseId":"u1","content":[{"type":"text","text":"2"}],"structuredContent":{"sum":2},"isError":true}`},
		{agent.UsedTool(agent.ToolResult{UseID: "u2", Content: []agent.Content{}}),
			`{"type":"tool_result","toolUseId":"u2","content":[]}`},
	} {
		b, err := json.Marshal(tt.c)
		if err != nil || string(b) != tt.want {
			t.Errorf("%+v\n is %s, %v\nwant %s", tt.c, b, err, tt.want)
		}
		var back agent.Content
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, tt.c) {
			t.Errorf("%s is read as %+v, %v", b, back, err)
		}
	}
	if b, err := json.Marshal(agent.Image(nil, "image/png")); err != nil ||
		string(b) != `{"type":"image","data":"","mimeType":"image/png"}` {
		t.Errorf("an image without data is %s, %v", b, err)
	}
	for _, bad := range []string{`{"type":"image","data":"?"}`, `{"type":1}`, `"text"`} {
		if err := json.Unmarshal([]byte(bad), &agent.Content{}); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

// What the fields do not hold is written again as it was read.
func TestContentThatIsNotKnown(t *testing.T) {
	for _, s := range []string{
		`{"type":"hologram","text":"t","data":"AQ==","name":"n"}`,
		`{"type":"hologram","data":{"x":1},"size":"big","n":12345678901234567890}`,
		`{"b":1,"type":"hologram","a":2}`,
		`{"type":"text","text":"x","lang":"de"}`,
		`{"type":"text","text":"x","id":"1"}`,
		`{"type":"tool_use","id":"1","name":"n","input":{},"toolUseId":"2"}`,
		`{"type":"resource","resource":{"uri":"r://e","text":"","lastModified":"today"}}`,
		`{"icons":[{"src":"data:,"}],"type":"resource_link","uri":"file:///a","name":"a"}`,
	} {
		var c agent.Content
		if err := json.Unmarshal([]byte(s), &c); err != nil || string(c.Raw) != s {
			t.Errorf("%s is read as %+v, %v", s, c, err)
			continue
		}
		if b, err := json.Marshal([]agent.Content{c}); err != nil || string(b) != "["+s+"]" {
			t.Errorf("%s is written as %s, %v", s, b, err)
		}
	}
	var c agent.Content
	if err := json.Unmarshal([]byte(`{"type":"text","text":"x","lang":"de"}`), &c); err != nil || c.Text != "x" {
		t.Errorf("what is known is not read: %+v, %v", c, err)
	}
	const odd = `{"type":"hologram","text":"t","size":"big"}`
	if err := json.Unmarshal([]byte(odd), &c); err != nil ||
		!reflect.DeepEqual(c, agent.Content{Type: "hologram", Raw: json.RawMessage(odd)}) {
		t.Errorf("members of other types than ours are read as %+v, %v", c, err)
	}
	if b, err := json.Marshal(agent.Content{Type: "hologram", Text: "t", Name: "n", Data: []byte{1}}); err != nil ||
		string(b) != `{"type":"hologram","text":"t","data":"AQ==","name":"n"}` {
		t.Errorf("a block of our own is written as %s, %v", b, err)
	}
}

func TestBlocks(t *testing.T) {
	for _, tt := range []struct{ in, out, text string }{
		{`{"type":"text","text":"a"}`, `{"type":"text","text":"a"}`, "a"},
		{`[{"type":"text","text":"a"}]`, `{"type":"text","text":"a"}`, "a"},
		{`[{"type":"text","text":"a"},{"type":"tool_use","name":"n","id":"1","input":{}},{"type":"text","text":"b"}]`,
			`[{"type":"text","text":"a"},{"type":"tool_use","name":"n","id":"1","input":{}},{"type":"text","text":"b"}]`, "a\nb"},
		{`[]`, `[]`, ""},
		{`null`, `[]`, ""},
	} {
		var m struct{ Content agent.Blocks }
		if err := json.Unmarshal([]byte(`{"content":`+tt.in+`}`), &m); err != nil || m.Content.Text() != tt.text {
			t.Errorf("%s is read as %+v, %v", tt.in, m, err)
		}
		if b, err := json.Marshal(m.Content); err != nil || string(b) != tt.out {
			t.Errorf("%s is written as %s, %v", tt.in, b, err)
		}
	}
	for _, bad := range []string{`"text"`, `[1]`, `{"type":1}`, ``} {
		if err := new(agent.Blocks).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func FuzzContentJSON(f *testing.F) {
	for _, s := range []string{`{"type":"text","text":"hi","annotations":{"a":1},"_meta":null}`,
		`{"type":"image","data":"AP8=","mimeType":"x"}`,
		`{"type":"resource","resource":{"uri":"u","blob":"","text":"t"}}`,
		`{"type":"resource_link","uri":"u","name":"n","size":-1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again agent.Content
		if json.Unmarshal(b, &c) != nil {
			return
		}
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%+v does not encode: %v", c, err)
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s does not decode: %v", out, err)
		}
		if r := c.Resource; r != nil && r.Blob != nil {
			r.Text = "" // one of both
		}
		if c.Data == nil && (c.Type == agent.ContentImage || c.Type == agent.ContentAudio) {
			c.Data = []byte{}
		}
		out2, err := json.Marshal(again)
		if err != nil || string(out2) != string(out) || again.Text != c.Text || string(again.Data) != string(c.Data) ||
			!reflect.DeepEqual(again.Resource, c.Resource) && c.Resource.Meta == nil {
			t.Fatalf("%s became %s, %v", out, out2, err)
		}
	})
}
