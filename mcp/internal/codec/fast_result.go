package codec

import (
	"encoding/json"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// AppendToolResult appends a plain result as [ToToolResult] converts it, as JSON without line
// breaks. It does not pass through the SDK's types. self is the server's name, which results of the
// newest version carry.
func AppendToolResult(dst []byte, res *agent.Result, s ResultFormat, self []byte) (msg []byte, ok bool) {
	if res == nil || res.Pending != nil || len(res.Meta) > 0 || !plainContent(res.Content) || len(res.Structured) > 0 &&
		!rawjson.Valid(res.Structured) {
		return dst, false
	}
	structured, alone := []byte(res.Structured), len(res.Content) == 0
	object := !s.Trusted && isObject(res.Structured)
	dst = append(dst, '{')
	m := metaWriter{dst: append(dst, `"_meta":`...)}
	m.start = len(m.dst)
	switch {
	case len(structured) == 0:
	case alone:
		m.dst = append(m.key(metaGenerated), "true"...)
	case !object:
		m.dst = rawjson.AppendQuote(m.key(metaStructured), structured)
	}
	if s.Version > Version20251125 {
		m.dst = append(m.key(sdk.MetaKeyServerInfo), self...)
	}
	if len(m.dst) > m.start {
		dst = append(m.dst, `},`...)
	}
	if s.Version > Version20251125 {
		dst = append(dst, `"resultType":"complete",`...)
	}
	if alone && len(structured) > 0 {
		dst = rawjson.AppendQuote(append(dst, `"content":[{"type":"text","text":`...), structured)
		dst = append(dst, `}]`...)
	} else {
		dst = appendTexts(dst, res.Content)
	}
	if object {
		dst = AppendOneLine(append(dst, `,"structuredContent":`...), structured)
	}
	return append(dst, '}'), true
}

// plainContent reports whether all there is, is text.
func plainContent(blocks []agent.Content) bool {
	for i := range blocks {
		if c := &blocks[i]; c.Type != agent.ContentText || len(c.Annotations) > 0 || len(c.Meta) > 0 {
			return false
		}
	}
	return true
}

func appendTexts(dst []byte, blocks []agent.Content) []byte {
	dst = append(dst, `"content":[`...)
	for i := range blocks {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(rawjson.AppendQuote(append(dst, `{"type":"text","text":`...), blocks[i].Text), '}')
	}
	return append(dst, ']')
}

// scanToolResult is [DecodeToolResult] for plain results, of which it keeps slices.
func scanToolResult(raw []byte, trusted bool) (*agent.Result, bool) {
	var out agent.Result
	var content, structured, failed, meta, kind []byte
	ok := rawjson.Object(raw, func(k, v []byte) bool {
		switch string(k) {
		case "content":
			return SetOnce(&content, v)
		case "structuredContent":
			return SetOnce(&structured, v) && v[0] != 'n'
		case "isError":
			return SetOnce(&failed, v) && string(v) == "false"
		case "_meta":
			return SetOnce(&meta, v)
		case "resultType":
			return SetOnce(&kind, v) && string(v) == `"complete"`
		}
		return false
	})
	if !ok || content == nil || !scanTexts(content, &out.Content) {
		return nil, false
	}
	generated, text := false, ""
	if meta != nil && !rawjson.Object(meta, func(k, v []byte) (ok bool) {
		switch string(k) {
		case metaGenerated:
			generated = string(v) == "true"
			return generated
		case metaStructured:
			text, ok = rawjson.Unquote(v)
			return ok
		}
		if strings.HasPrefix(string(k), MetaPrefix) || out.Meta[string(k)] != nil {
			return false
		}
		if out.Meta == nil {
			out.Meta = map[string]json.RawMessage{}
		}
		out.Meta[string(k)] = v
		return true
	}) {
		return nil, false
	}
	switch {
	case !trusted && (generated || text != ""):
		return nil, false
	case trusted && generated && len(out.Content) == 1:
		out.Structured, out.Content = json.RawMessage(out.Content[0].Text), nil
		return &out, rawjson.Valid(out.Structured)
	case trusted && text != "":
		out.Structured = json.RawMessage(text)
		return &out, rawjson.Valid(out.Structured)
	case structured != nil:
		out.Structured = Compact(structured)
	}
	if !trusted {
		out.Raw = raw
	}
	return &out, true
}

// scanTexts reads text blocks; ok is false if there are others.
func scanTexts(raw []byte, out *[]agent.Content) bool {
	return rawjson.Array(raw, func(item []byte) bool {
		var typ, text []byte
		if !rawjson.Object(item, func(k, v []byte) bool {
			switch string(k) {
			case "type":
				return SetOnce(&typ, v)
			case "text":
				return SetOnce(&text, v)
			}
			return false
		}) || string(typ) != `"text"` {
			return false
		}
		s, ok := rawjson.Unquote(text)
		*out = append(*out, agent.Text(s))
		return ok
	})
}
