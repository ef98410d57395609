package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// appendToolResult appends what toToolResult says, as JSON without line breaks. Plain results do not pass through the SDK's types.
func appendToolResult(dst []byte, res *agent.Result, era string, ours bool) ([]byte, error) {
	if res == nil || res.Pending != nil || len(res.Meta) > 0 || !plainContent(res.Content) || len(res.Structured) > 0 && !wire.Valid(res.Structured) {
		return appendJSON(dst, toToolResult(res, era, ours))
	}
	structured, alone := []byte(res.Structured), len(res.Content) == 0
	switch {
	case len(structured) == 0:
		return append(appendTexts(append(dst, '{'), res.Content), '}'), nil
	case alone && ours:
		dst = append(dst, `{"_meta":{"`+metaGenerated+`":true},"content":[{"type":"text","text":`...)
		return append(wire.AppendQuote(dst, structured), `}]}`...), nil
	case alone:
		dst = append(dst, `{"_meta":{"`+metaGenerated+`":true},"content":[{"type":"text","text":`...)
		dst = append(wire.AppendQuote(dst, structured), `}]`...)
	case ours:
		dst = wire.AppendQuote(append(dst, `{"_meta":{"`+metaStructured+`":`...), structured)
		return append(appendTexts(append(dst, `},`...), res.Content), '}'), nil
	case !isObject(res.Structured):
		return appendJSON(dst, toToolResult(res, era, ours))
	default:
		dst = appendTexts(append(dst, '{'), res.Content)
	}
	if isObject(res.Structured) {
		dst = appendOneLine(append(dst, `,"structuredContent":`...), structured)
	}
	return append(dst, '}'), nil
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
		dst = append(wire.AppendQuote(append(dst, `{"type":"text","text":`...), blocks[i].Text), '}')
	}
	return append(dst, ']')
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

// appendOneLine appends JSON without the line breaks that it may hold between its values.
func appendOneLine(dst, raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return append(dst, raw...)
	}
	buf := bytes.NewBuffer(dst)
	if json.Compact(buf, raw) != nil {
		return append(dst, raw...) // not valid: the caller has checked
	}
	return buf.Bytes()
}

// decodeToolResult is fromToolResult for the raw answer, of which the result keeps slices. Plain results do not pass through the SDK's types.
func decodeToolResult(raw []byte, trusted bool) (*agent.Result, error) {
	if res, ok := scanToolResult(raw, trusted); ok {
		return res, nil
	}
	var res sdk.CallToolResult
	if err := json.Unmarshal(raw, &res); err != nil {
		return nil, fmt.Errorf("the result does not decode: %w", err)
	}
	return fromToolResult(&res, trusted)
}

func scanToolResult(raw []byte, trusted bool) (*agent.Result, bool) {
	var out agent.Result
	var content, structured, failed, meta []byte
	ok := wire.Object(raw, func(k, v []byte) bool {
		switch string(k) {
		case "content":
			return once(&content, v)
		case "structuredContent":
			return once(&structured, v)
		case "isError":
			return once(&failed, v) && string(v) == "false"
		case "_meta":
			return once(&meta, v)
		}
		return false
	})
	if !ok || content != nil && !scanTexts(content, &out.Content) {
		return nil, false
	}
	generated, text := false, ""
	if meta != nil && !wire.Object(meta, func(k, v []byte) (ok bool) {
		switch string(k) {
		case metaGenerated:
			generated = string(v) == "true"
			return generated
		case metaStructured:
			text, ok = wire.Unquote(v)
			return ok
		}
		if strings.HasPrefix(string(k), metaPrefix) || out.Meta[string(k)] != nil {
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
	case trusted && generated && len(out.Content) == 1:
		out.Structured, out.Content = json.RawMessage(out.Content[0].Text), nil
		return &out, wire.Valid(out.Structured)
	case trusted && text != "":
		out.Structured = json.RawMessage(text)
		return &out, wire.Valid(out.Structured)
	case structured != nil && string(structured) != "null":
		out.Structured = compact(structured)
	}
	return &out, true
}

// scanTexts reads text blocks; ok is false if there are others.
func scanTexts(raw []byte, out *[]agent.Content) bool {
	return wire.Array(raw, func(item []byte) bool {
		var typ, text []byte
		if !wire.Object(item, func(k, v []byte) bool {
			switch string(k) {
			case "type":
				return once(&typ, v)
			case "text":
				return once(&text, v)
			}
			return false
		}) || string(typ) != `"text"` {
			return false
		}
		s, ok := wire.Unquote(text)
		*out = append(*out, agent.Text(s))
		return ok
	})
}

// compact takes the space between values out, as the SDK's way does by decoding and encoding again.
func compact(raw []byte) json.RawMessage {
	if !bytes.ContainsAny(raw, " \t\r\n") {
		return raw
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
