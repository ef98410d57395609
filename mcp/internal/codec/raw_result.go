package codec

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// What foreign servers answered is sent on here as it came, but for what the client's version of
// the protocol lacks and what each server says for itself.

// A RawFormat says to whom raw results are sent.
type RawFormat struct {
	ResultFormat
	Self []byte // the server's name, which results of the newest version carry, as JSON
}

// ToolResult is the result of tools/call for a client.
func (f RawFormat) ToolResult(raw json.RawMessage) (json.RawMessage, error) {
	if f.plain(raw) {
		return f.signed(raw), nil
	}
	o, err := f.read(raw)
	if err != nil {
		return nil, err
	}
	structured, content := o.Get("structuredContent"), o.Get("content")
	if structured != nil && f.Version <= Version20251125 && kindOf(structured) != anObject {
		o.Delete("structuredContent") // clients of these versions know objects only
		if string(Compact(content)) == "[]" {
			content = nil // else there is nothing left of it
		}
	}
	if content == nil {
		content = json.RawMessage("[]")
		if structured != nil {
			content = jsonedit.Array([]json.RawMessage{textBlock(string(structured))})
		}
		o.Set("content", content)
	}
	f.mapItems(o, "content", f.block)
	return o.Raw(), nil
}

// plain reports whether nothing in the result of a tool has to change. It is quick.
func (f RawFormat) plain(raw json.RawMessage) bool {
	content := false
	return rawjson.Object(raw, func(k, v []byte) bool {
		switch string(k) {
		case "resultType", "_meta":
			return false
		case "structuredContent":
			return v[0] == '{'
		case "content":
			content = v[0] == '[' && (f.Version == VersionUnknown || f.Version >= Version20250618)
			return content
		}
		return true
	}) && content
}

// signed is a plain result with what each server says for itself.
func (f RawFormat) signed(raw json.RawMessage) json.RawMessage {
	if f.Version <= Version20251125 {
		return raw
	}
	raw = bytes.TrimRight(raw, " \t\r\n")
	out := make([]byte, 0, len(raw)+len(f.Self)+128)
	out = append(out, raw[:len(raw)-1]...) // without the brace
	out = append(append(out, `,"resultType":"complete","_meta":{"`+sdk.MetaKeyServerInfo+`":`...), f.Self...)
	return append(out, "}}"...)
}

// ErrorResult is the result of tools/call that the error e was made of. What is known of it beyond
// MCP is said as in the results of our own errors; to strangers only that it is more than a tool
// that failed.
func (f RawFormat) ErrorResult(e *agent.Error) (json.RawMessage, error) {
	raw, err := f.ToolResult(e.Raw)
	if err != nil {
		return nil, err
	}
	o, err := ReadObject(raw)
	if err != nil {
		return nil, err
	}
	if string(o.Get("isError")) != "true" {
		o.Set("isError", json.RawMessage("true"))
	}
	more := errorMeta(e, f.Trusted)
	if !f.Trusted {
		delete(more, metaDetails) // they are the structured content
	}
	meta, err := ReadObject(o.Get("_meta"))
	if err != nil {
		meta = &Object{}
	}
	trace := more[wire.TraceParent]
	if delete(more, wire.TraceParent); !f.Trusted && e.Code == agent.CodeToolFailed && len(more) == 1 {
		delete(more, MetaCode) // it is what an error without a code is
	}
	if trace != nil && meta.Get(wire.TraceParent) == nil {
		more[wire.TraceParent] = trace
	}
	if len(more) == 0 {
		return o.from(raw), nil
	}
	for _, k := range slices.Sorted(maps.Keys(more)) {
		said, err := json.Marshal(more[k])
		if err != nil {
			return nil, err
		}
		meta.Set(k, said)
	}
	o.Set("_meta", meta.Raw())
	return o.Raw(), nil
}

// PromptResult is the result of prompts/get for a client.
func (f RawFormat) PromptResult(raw json.RawMessage) (json.RawMessage, error) {
	o, err := f.read(raw)
	if err != nil {
		return nil, err
	}
	f.mapItems(o, "messages", func(m *Object) json.RawMessage {
		block, err := ReadObject(m.Get("content"))
		if err != nil {
			return nil
		}
		if now := f.block(block); now != nil {
			m.Set("content", now)
			return m.Raw()
		}
		return nil
	})
	return o.Raw(), nil
}

// ResourceResult is the result of resources/read for a client.
func (f RawFormat) ResourceResult(raw json.RawMessage) (json.RawMessage, error) {
	o, err := f.read(raw)
	if err != nil {
		return nil, err
	}
	if f.Version > Version20251125 {
		o.Set("ttlMs", json.RawMessage("0"))
		o.Set("cacheScope", json.RawMessage(`"private"`)) // an agent may answer each caller differently
	} else {
		o.Delete("ttlMs")
		o.Delete("cacheScope")
	}
	return o.Raw(), nil
}

// CompleteResult is the result of completion/complete for a client.
func (f RawFormat) CompleteResult(raw json.RawMessage) (json.RawMessage, error) {
	o, err := f.read(raw)
	if err != nil {
		return nil, err
	}
	return o.Raw(), nil
}

// read reads a result, and says in it what each server says for itself.
func (f RawFormat) read(raw json.RawMessage) (*Object, error) {
	o, err := ReadObject(raw)
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "the raw result: %w", err)
	}
	meta, err := ReadObject(o.Get("_meta"))
	if err != nil {
		meta = &Object{}
	}
	meta.dropOurs()
	meta.Delete(sdk.MetaKeyServerInfo)
	if f.Version > Version20251125 {
		meta.Set(sdk.MetaKeyServerInfo, f.Self)
		o.Set("resultType", json.RawMessage(`"complete"`))
	} else {
		o.Delete("resultType")
	}
	switch {
	case !meta.Changed() && err == nil:
	case len(meta.Object) == 0:
		o.Delete("_meta")
	default:
		o.Set("_meta", meta.Raw())
	}
	return o, nil
}

// mapItems writes what f makes of the objects of a list, where that is something.
func (RawFormat) mapItems(o *Object, name string, f func(*Object) json.RawMessage) {
	items, ok := jsonedit.ParseArray(o.Get(name))
	if !ok {
		return
	}
	changed := false
	for i, item := range items {
		one, err := ReadObject(item)
		if err != nil {
			continue
		}
		if now := f(one); now != nil {
			items[i], changed = now, true
		}
	}
	if changed {
		o.Set(name, jsonedit.Array(items))
	}
}

// block is a text in place of a block that the client's version of the protocol lacks; nil: it
// stays.
func (f RawFormat) block(o *Object) json.RawMessage {
	if f.Version == VersionUnknown || f.Trusted {
		return nil
	}
	switch o.text("type") {
	case agent.ContentAudio:
		if f.Version == Version20241105 {
			return textBlock(noAudio(o.text("mimeType"), len(o.text("data"))/4*3))
		}
	case agent.ContentResourceLink:
		if f.Version < Version20250618 {
			return textBlock(strings.TrimSpace(o.text("name") + " " + o.text("uri")))
		}
	}
	return nil
}

// ParamsFor are the params of a foreign server's notification or question for a client, with its
// own progress token and what meta adds; nil where there are none. What only our own servers may
// say is taken out.
func ParamsFor(raw json.RawMessage, token any, meta sdk.Meta) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	o, err := ReadObject(raw)
	if err != nil {
		return nil
	}
	if token != nil {
		said, err := json.Marshal(token)
		if err != nil {
			return nil
		}
		o.Set("progressToken", said)
	}
	own, err := ReadObject(o.Get("_meta"))
	if err != nil {
		own = &Object{}
	}
	own.dropOurs()
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if said, err := json.Marshal(meta[k]); err == nil {
			own.Set(k, said)
		}
	}
	switch {
	case len(own.Object) > 0:
		o.Set("_meta", own.Raw())
	case own.Changed():
		o.Delete("_meta")
	}
	return o.from(raw)
}

// views are the members of a `_meta` that name the resource which shows a tool's results: of MCP
// Apps, as they are and as they were, and of another client.
var views = [][]string{{"ui", "resourceUri"}, {"ui/resourceUri"}, {"openai/outputTemplate"}}

// MapViews gives the URIs of views in the `_meta` of a tool, or of its result, what f makes of
// them.
func MapViews(meta json.RawMessage, f func(uri string) string) json.RawMessage {
	for _, path := range views {
		meta = jsonedit.Edit(meta, path, func(old json.RawMessage) json.RawMessage {
			uri, ok := rawjson.Unquote(old)
			if !ok || f(uri) == uri {
				return old
			}
			return jsonedit.String(f(uri))
		})
	}
	return meta
}

// MapURIs gives the URIs in a raw result of an operation what f makes of them: those of links, of
// embedded resources, of contents and of views.
func MapURIs(raw json.RawMessage, op agent.Op, f func(uri string) string) json.RawMessage {
	o, err := ReadObject(raw)
	if err != nil {
		return raw
	}
	uri := func(o *Object) json.RawMessage {
		was := o.text("uri")
		if was == "" || f(was) == was {
			return nil
		}
		o.Set("uri", jsonedit.String(f(was)))
		return o.Raw()
	}
	block := func(o *Object) json.RawMessage {
		if o.text("type") != agent.ContentResource {
			return uri(o)
		}
		if inner, err := ReadObject(o.Get("resource")); err == nil && uri(inner) != nil {
			o.Set("resource", inner.Raw())
			return o.Raw()
		}
		return nil
	}
	switch op {
	case agent.OpTool:
		if meta := o.Get("_meta"); meta != nil {
			o.Set("_meta", MapViews(meta, f))
		}
		RawFormat{}.mapItems(o, "content", block)
	case agent.OpPrompt:
		RawFormat{}.mapItems(o, "messages", func(m *Object) json.RawMessage {
			inner, err := ReadObject(m.Get("content"))
			if err != nil || block(inner) == nil {
				return nil
			}
			m.Set("content", inner.Raw())
			return m.Raw()
		})
	case agent.OpResource:
		RawFormat{}.mapItems(o, "contents", uri)
	}
	return o.from(raw)
}
