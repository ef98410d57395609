package codec

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// ScanCall reads the parameters of a plain tools/call. What it returns is a copy, but for what the
// protocol says.
func ScanCall(params []byte, trusted bool) (name string, args json.RawMessage, meta CallMeta, said ReservedMeta,
	ok bool) {
	var rawName, rawArgs, rawMeta []byte
	ok = rawjson.Object(params, func(k, v []byte) bool {
		switch string(k) {
		case "name":
			return SetOnce(&rawName, v)
		case "arguments":
			return SetOnce(&rawArgs, v) && v[0] == '{'
		case "_meta":
			return SetOnce(&rawMeta, v)
		}
		return false
	})
	if !ok {
		return
	}
	if name, ok = rawjson.Unquote(rawName); !ok {
		return
	}
	if meta, said, ok = scanMeta(rawMeta, trusted); ok && rawArgs != nil {
		args = bytes.Clone(rawArgs)
	}
	return
}

// scanMeta reads the `_meta` of a request as far as the caller is believed. ok is false for what is
// not plain.
func scanMeta(raw []byte, trusted bool) (m CallMeta, said ReservedMeta, ok bool) {
	m.Attempt = 1
	if raw == nil {
		return m, said, true
	}
	ok = rawjson.Object(raw, func(k, v []byte) bool {
		if bytes.HasPrefix(k, []byte(reservedMeta)) {
			return said.set(string(k), v)
		}
		return m.scan(k, v, trusted)
	})
	return m, said, ok
}

// AppendCall appends the message of a tools/call.
func AppendCall(ctx context.Context, dst []byte, id FastID, name string, args json.RawMessage, m RequestMeta) []byte {
	dst = append(id.Append(append(dst, `{"jsonrpc":"2.0","id":`...)), `,"method":"`+MethodCall+`","params":{`...)
	begun := append(dst, `"_meta":`...)
	if meta := m.append(ctx, begun); len(meta) > len(begun) {
		dst = append(meta, ',')
	}
	dst = rawjson.AppendQuote(append(dst, `"name":`...), name)
	return append(AppendOneLine(append(dst, `,"arguments":`...), args), `}}`...)
}
