package listing

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/schema"
)

// Tool is a tool under the name that clients see. exported gives the URI under which they read a
// resource of its agent. what says what was wrong with it; it is empty if nothing was.
func Tool(t agent.ToolInfo, name string, exported func(uri string) string, check *schema.Checker) (item *Item,
	what string) {
	o := define(t.Raw, t, func() any { return codec.ToTool(t, name) })
	o.Set("name", jsonedit.String(name))
	clean(&o)
	in, what := check.Input(o.Get("inputSchema"))
	if what != "" {
		what = "its input schema is not right: " + what
		if string(in) == string(schema.Any) {
			what += "; it is offered as one that takes any object"
		}
	}
	o.Set("inputSchema", in)
	if o.Get("outputSchema") != nil {
		out, wrong := check.Output(o.Get("outputSchema"))
		if wrong != "" && out == nil {
			wrong += "; it is left out"
		}
		if wrong != "" && what == "" {
			what = "its output schema is not right: " + wrong
		}
		if out == nil {
			o.Delete("outputSchema")
		} else {
			o.Set("outputSchema", out)
		}
	}
	if meta := o.Get("_meta"); meta != nil {
		o.Set("_meta", codec.MapViews(meta, exported))
	}
	item = &Item{Key: name, JSON: codec.Compact(o.Raw()), InputSchema: in}
	// the eras with a handshake know objects only
	if out := o.Get("outputSchema"); out != nil && !schema.IsObject(out) {
		item.Newest = item.JSON
		o.Delete("outputSchema")
		item.JSON = codec.Compact(o.Raw())
	}
	return item, what
}

// Prompt is a prompt under the name that clients see.
func Prompt(p agent.PromptInfo, name string) *Item {
	o := define(p.Raw, p, func() any { return codec.ToPrompt(p, name) })
	o.Set("name", jsonedit.String(name))
	clean(&o)
	return &Item{Key: name, JSON: codec.Compact(o.Raw())}
}

// Resource is a resource, or a template of them, under the URI that clients see.
func Resource(r agent.ResourceInfo, uri string) *Item {
	member, own := "uri", func() any { return codec.ToResource(r) }
	if r.Template != "" {
		member, own = "uriTemplate", func() any { return codec.ToTemplate(r) }
	}
	o := define(r.Raw, r, own)
	o.Set(member, jsonedit.String(uri))
	if o.Get("name") == nil { // clients demand one
		o.Set("name", jsonedit.String(uri))
	}
	if text, changed := cleanText(o.Get("name")); changed { // nobody calls it by that
		o.Set("name", text)
	}
	clean(&o)
	return &Item{Key: uri, JSON: codec.Compact(o.Raw())}
}

// define is a definition as it came, or else as we make it.
func define(raw json.RawMessage, info json.Marshaler, own func() any) jsonedit.Object {
	if len(raw) > 0 {
		if whole, err := info.MarshalJSON(); err == nil { // over raw: what was changed on the way counts
			if o, ok := jsonedit.ParseObject(whole); ok {
				return o
			}
		}
	}
	b, err := json.Marshal(own())
	if err != nil {
		b = []byte("{}") // a schema that is no JSON: what the SDK's types hold else always encodes
	}
	o, _ := jsonedit.ParseObject(b)
	return o
}

// A Page is a page of a list as the SDK sends it: its items are not decoded.
type Page struct {
	// ListToolsResult has what pages of all lists have: the metadata and the type of the result.
	sdk.ListToolsResult
	Member string // tools, prompts, resources or resourceTemplates
	Items  []json.RawMessage
}

// MarshalJSON implements [json.Marshaler].
func (p *Page) MarshalJSON() ([]byte, error) {
	var o jsonedit.Object
	if p.ResultType != "" {
		o.Set("resultType", jsonedit.String(string(p.ResultType)))
	}
	if p.Meta != nil {
		meta, err := json.Marshal(p.Meta)
		if err != nil {
			return nil, err
		}
		o.Set("_meta", meta)
	}
	o.Set("ttlMs", json.RawMessage("0"))
	o.Set("cacheScope", jsonedit.String("public"))
	if p.NextCursor != "" {
		o.Set("nextCursor", jsonedit.String(p.NextCursor))
	}
	o.Set(p.Member, jsonedit.Array(p.Items))
	return o.Raw(), nil
}

// shown are the members of a definition that people read.
var shown = []string{"title", "description"}

// clean takes characters that steer a terminal, or reverse what stands on a screen, out of what
// people read of a definition. Names have none, and all else stays as it came.
func clean(o *jsonedit.Object) (changed bool) {
	for _, k := range shown {
		if text, ok := cleanText(o.Get(k)); ok {
			o.Set(k, text)
			changed = true
		}
	}
	if a, ok := jsonedit.ParseObject(o.Get("annotations")); ok && clean(&a) {
		o.Set("annotations", a.Raw())
		changed = true
	}
	if items, ok := jsonedit.ParseArray(o.Get("arguments")); ok && cleanEach(items) { // of a prompt
		o.Set("arguments", jsonedit.Array(items))
		changed = true
	}
	return changed
}

// cleanEach is clean for a list of objects.
func cleanEach(items []json.RawMessage) (changed bool) {
	for i, item := range items {
		if o, ok := jsonedit.ParseObject(item); ok && clean(&o) {
			items[i] = o.Raw()
			changed = true
		}
	}
	return changed
}

// cleanText is clean for a text in JSON.
func cleanText(raw json.RawMessage) (json.RawMessage, bool) {
	if bytes.IndexFunc(raw, func(r rune) bool { return r == '\\' || r > '~' }) < 0 {
		return nil, false
	}
	var s string
	if json.Unmarshal(raw, &s) != nil || strings.IndexFunc(s, steers) < 0 {
		return nil, false
	}
	return jsonedit.String(strings.Map(func(r rune) rune {
		if steers(r) {
			return -1
		}
		return r
	}, s)), true
}

// steers reports whether a character is a control character, but for white space, or an override of
// the direction of text.
func steers(r rune) bool {
	switch r {
	case '\n', '\r', '\t':
		return false
	}
	return unicode.IsControl(r) || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}
