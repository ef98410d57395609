package codec

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/openmas/openmas/internal/calls"
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

// scan reads a member, if the caller is believed there. What is not plain has no value then.
func (m *CallMeta) scan(k, v []byte, trusted bool) (ok bool) {
	switch string(k) {
	case "traceparent", "tracestate", "baggage":
		s, ok := rawjson.Unquote(v)
		if ok && s != "" {
			if m.Trace == nil {
				m.Trace = make(map[string]string, len(traceKeys))
			}
			m.Trace[string(k)] = s
		}
		return ok
	case "progressToken":
		return scanToken(v, &m.Progress)
	case MetaTimeout:
		ms, ok := scanInt(v)
		m.Timeout = milliseconds(ms)
		return ok
	case MetaKey:
		m.Key, ok = rawjson.Unquote(v)
		return ok
	}
	return !trusted || m.scanOurs(k, v)
}

// scanOurs reads a member that only our own runtimes are believed.
func (m *CallMeta) scanOurs(k, v []byte) (ok bool) {
	var n int64
	switch string(k) {
	case MetaID:
		m.ID, ok = rawjson.Unquote(v)
	case MetaCaller:
		m.Caller, ok = rawjson.Unquote(v)
	case MetaInstance:
		m.Instance, ok = rawjson.Unquote(v)
	case MetaUser:
		m.User, ok = rawjson.Unquote(v)
	case MetaUntrusted:
		m.Untrusted, ok = string(v) == "true", string(v) == "true" || string(v) == "false"
	case MetaRoot:
		m.Root, ok = rawjson.Unquote(v)
	case MetaPath:
		var path string
		if path, ok = rawjson.Unquote(v); ok && path != "" {
			m.Path, _ = calls.SplitPath(path, "")
		}
	case metaKeeper:
		m.Keeper, ok = rawjson.Unquote(v)
	case metaState:
		m.State, ok = rawjson.Unquote(v)
	case MetaDepth:
		n, ok = scanInt(v)
		m.Depth = atLeast(n, 0)
	case MetaAttempt:
		n, ok = scanInt(v)
		m.Attempt = atLeast(n, 1)
	case metaInputs:
		m.Inputs, ok = scanInputs(v)
	default:
		ok = true
	}
	return ok
}

func scanInputs(raw []byte) (in map[string]json.RawMessage, ok bool) {
	s, ok := rawjson.Unquote(raw)
	if !ok || json.Unmarshal([]byte(s), &in) != nil {
		return nil, false
	}
	return in, true
}

// scanToken reads a progress token: a string, or an integer.
func scanToken(raw []byte, token *any) bool {
	if !PlainID(raw) {
		return false
	}
	if s, ok := rawjson.Unquote(raw); ok {
		*token = s
	} else {
		*token = json.Number(raw)
	}
	return true
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
