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
		{agent.Content{Type: "hologram", Text: "t", Name: "n", Data: []byte{1}},
			`{"type":"hologram","text":"t","data":"AQ==","name":"n"}`},
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
