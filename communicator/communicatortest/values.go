package communicatortest

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/openmas/openmas/agent"
)

// values: what is said arrives as it was said.
func values() []test {
	return []test{
		{"content blocks of every type", nil, contentBlocks},
		{"structured values of every kind, decoded", nil, structuredDecoded},
		{"structured values of every kind, raw", []Feature{AnyStructured}, structuredRaw},
		{"an empty result", nil, emptyResult},
		{"Unicode", nil, unicode},
		{"text that looks like JSON", nil, textLikeJSON},
		{"invalid UTF-8 in a result", nil, invalidUTF8Result},
		{"invalid UTF-8 in the input", nil, invalidUTF8Input},
		{"a structured result that is no JSON", nil, brokenResult},
	}
}

func allBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func contentBlocks(b *bench) {
	annotations, meta := json.RawMessage(`{"audience":["user"],"priority":0.5}`), json.RawMessage(`{"k":"v"}`)
	link := agent.Link("test://x", "x")
	link.MIMEType, link.Title, link.Description, link.Size = "text/plain", "X", "an x", 1<<40
	annotated := agent.Text("annotated")
	annotated.Annotations, annotated.Meta = annotations, meta
	want := []agent.Content{
		agent.Text("first\n\tline"), agent.Text(""), annotated, agent.Image(allBytes(), "image/png"),
		agent.Audio(bytes.Repeat(allBytes(), 16), "audio/wav"), link,
		agent.Embed(agent.ResourceContents{URI: "test://t", MIMEType: "text/plain", Text: "embedded"}),
		agent.Embed(agent.ResourceContents{URI: "test://b", MIMEType: "application/octet-stream", Blob: allBytes()}),
	}
	b.tools(agent.NewTool("blocks", "", func(context.Context, struct{}) ([]agent.Content, error) { return want, nil }))
	got := b.ask("blocks", nil).Content
	if len(got) != len(want) {
		b.Fatalf("%d blocks arrived, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		g, w := got[i], want[i]
		if !sameJSON(g.Annotations, w.Annotations) && len(g.Annotations)+len(w.Annotations) > 0 ||
			!sameJSON(g.Meta, w.Meta) && len(g.Meta)+len(w.Meta) > 0 {
			b.Errorf("block %d: annotations %s and meta %s, want %s and %s", i, g.Annotations, g.Meta, w.Annotations,
				w.Meta)
		}
		g.Annotations, w.Annotations, g.Meta, w.Meta = nil, nil, nil, nil
		if !reflect.DeepEqual(g, w) {
			b.Errorf("block %d is %+v, want %+v", i, g, w)
		}
	}
}

var kinds = []string{`{"a":1}`, `{}`, `[1,"two",null]`, `[]`, `"a \"text\""`, `""`, `0`, `-12.5e3`, `9007199254740993`,
	`true`, `false`, `null`}

func structuredDecoded(b *bench) {
	b.tools(kindsTool())
	for i, k := range kinds {
		var want any
		if err := json.Unmarshal([]byte(k), &want); err != nil {
			b.Fatal(err)
		}
		got, err := agent.Ask[any](b.ctx(), "callee.kinds", map[string]int{"i": i})
		if err != nil || !reflect.DeepEqual(got, want) {
			b.Errorf("%s arrived as %#v, %v", k, got, err)
		}
		doc, err := agent.Ask[json.RawMessage](b.ctx(), "callee.kinds", map[string]int{"i": i})
		if err != nil || !sameJSON(doc, []byte(k)) {
			b.Errorf("%s arrived as %s, %v", k, doc, err)
		}
	}
}

func structuredRaw(b *bench) {
	b.tools(kindsTool())
	for i, k := range kinds {
		res := b.ask("kinds", map[string]int{"i": i})
		if !sameJSON(res.Structured, []byte(k)) {
			b.Errorf("%s arrived as %q, content %+v", k, res.Structured, res.Content)
		}
	}
	if got, err := agent.Ask[string](b.ctx(), "callee.kinds", map[string]int{"i": 4}); err != nil || got != `a "text"` {
		b.Errorf("the string arrived as %q, %v", got, err)
	}
}

func kindsTool() agent.Tool {
	return agent.NewTool("kinds", "", func(_ context.Context, in struct {
		I int `json:"i"`
	}) (*agent.Result, error) {
		return &agent.Result{Structured: json.RawMessage(kinds[in.I])}, nil
	})
}

func emptyResult(b *bench) {
	b.tools(raw("nothing", func(context.Context, *agent.Call) (*agent.Result, error) { return &agent.Result{}, nil }),
		raw("nil", func(context.Context, *agent.Call) (*agent.Result, error) { return nil, nil }))
	for _, tool := range []string{"nothing", "nil"} {
		res := b.ask(tool, nil)
		if len(res.Structured) != 0 || len(res.Content) != 0 || res.Pending != nil {
			b.Errorf("%s arrived as %+v", tool, res)
		}
	}
}

func unicode(b *bench) {
	const s = "ß 漢字 🐙 \u0000\u0001\u2028\u2029\ufeff e\u0301 <&> \\u0041 \"quoted\""
	b.tools(echo(), agent.NewTool("say", "", func(_ context.Context, in map[string]string) (string, error) {
		return in["key ß 🐙"], nil
	}))
	if got := b.ask("say", map[string]string{"key ß 🐙": s}).Text(); got != s {
		b.Errorf("the text is %q, want %q", got, s)
	}
	got, err := agent.Ask[map[string]string](b.ctx(), "callee.echo", map[string]string{"key ß 🐙": s})
	if err != nil || got["key ß 🐙"] != s {
		b.Errorf("the value is %q, %v", got, err)
	}
}

// A tool that returns a string returns text, and text stays text.
func textLikeJSON(b *bench) {
	b.tools(agent.NewTool("say", "", func(_ context.Context, in map[string]string) (string, error) {
		return in["text"], nil
	}))
	for _, s := range []string{"42", "null", `"quoted"`, `{"a":1}`, "", " spaced\n"} {
		if got, err := agent.Ask[string](b.ctx(), "callee.say", map[string]string{"text": s}); err != nil || got != s {
			b.Errorf("%q arrived as %q, %v", s, got, err)
		}
	}
}

// What is no UTF-8 arrives as it is or with U+FFFD in its place; it must not cost the session.
func invalidUTF8Result(b *bench) {
	const broken = "a\xff\xfeb"
	b.tools(echo(), agent.NewTool("say", "", func(context.Context, struct{}) (string, error) { return broken, nil }),
		agent.NewTool("fail", "", func(context.Context, struct{}) (string, error) {
			return "", agent.Errorf(agent.CodeToolFailed, "%s", broken)
		}))
	ok := func(s string) bool { return s == broken || strings.ReplaceAll(s, "\ufffd", "") == "ab" }
	if got := b.ask("say", nil).Text(); !ok(got) {
		b.Errorf("the text is %q", got)
	}
	if e := b.refuse("fail", nil); !ok(e.Message) {
		b.Errorf("the message is %q", e.Message)
	}
	b.alive()
}

func invalidUTF8Input(b *bench) {
	b.tools(echo(), agent.NewTool("say", "", func(_ context.Context, in map[string]string) (string, error) {
		return in["text"], nil
	}))
	res, err := agent.CallTool(b.ctx(), "callee.say", json.RawMessage("{\"text\":\"a\xff\xfeb\"}"))
	if err != nil {
		b.want(b.failed(res, err), true, agent.CodeInvalidArgument)
	} else if got := strings.ReplaceAll(res.Text(), "\ufffd", ""); got != "ab" {
		b.Errorf("the text is %q", got)
	}
	b.alive()
}

func brokenResult(b *bench) {
	b.tools(echo(), raw("break", func(context.Context, *agent.Call) (*agent.Result, error) {
		return &agent.Result{Structured: json.RawMessage(`{"a":`)}, nil
	}))
	got, err := agent.Ask[any](b.ctx(), "callee.break", nil)
	if e := b.failed(nil, err); e.Code != agent.CodeInternal || e.NotExecuted {
		b.Errorf("the result is %v, the error %v", got, err)
	}
	b.alive()
}

// sameJSON compares two JSON texts by value; numbers by their digits.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	return bytes.Equal(canonical(a), canonical(b)) && len(canonical(a)) > 0
}

func canonical(raw []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}
