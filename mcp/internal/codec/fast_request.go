package codec

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calltree"
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

// scanMeta is readMeta for what was not decoded. ok is false for what is not plain.
func scanMeta(raw []byte, trusted bool) (m CallMeta, said ReservedMeta, ok bool) {
	m.Attempt = 1
	if raw == nil {
		return m, said, true
	}
	ok = rawjson.Object(raw, func(k, v []byte) bool {
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
		switch {
		case bytes.HasPrefix(k, []byte(reservedMeta)):
			return said.set(string(k), v)
		case !bytes.HasPrefix(k, []byte(MetaPrefix)):
			return true
		case !trusted:
			return true
		}
		return m.scanOurs(k, v)
	})
	return m, said, ok
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
			m.Path, _ = calltree.SplitPath(path, "")
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
		var in string
		if in, ok = rawjson.Unquote(v); ok {
			ok = json.Unmarshal([]byte(in), &m.Inputs) == nil
		}
	default:
		ok = true
	}
	return ok
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

// AppendCall appends the message of a tools/call, whose `_meta` is that of requestMeta.
func AppendCall(dst []byte, id FastID, name string, args json.RawMessage, meta []byte) []byte {
	dst = append(id.Append(append(dst, `{"jsonrpc":"2.0","id":`...)), `,"method":"`+MethodCall+`","params":{`...)
	if len(meta) > 0 {
		dst = append(append(append(dst, `"_meta":`...), meta...), ',')
	}
	dst = rawjson.AppendQuote(append(dst, `"name":`...), name)
	return append(AppendOneLine(append(dst, `,"arguments":`...), args), `}}`...)
}

// AppendRequestMeta appends the `_meta` that RequestMeta builds, with the members that the era
// wants and a progress token if there is one; nothing when it is empty.
func AppendRequestMeta(ctx context.Context, dst []byte, c *agent.Call, trusted bool, token string, says []byte) ([]byte,
	error) {
	m := metaWriter{dst: dst, start: len(dst)}
	if len(says) > 0 {
		m.dst = append(append(m.dst, '{'), says...)
	}
	for _, k := range traceKeys {
		m.text(k, c.Meta[k])
	}
	m.text("progressToken", token)
	if trusted {
		if at, ok := ctx.Deadline(); ok {
			m.number(MetaTimeout, max(time.Until(at).Milliseconds(), 1))
		}
		m.text(MetaID, c.ID)
		m.text(MetaCaller, c.From.Agent)
		m.text(MetaInstance, c.From.Instance)
		m.text(MetaUser, c.From.User)
		if !c.From.Trusted {
			m.dst = append(m.key(MetaUntrusted), "true"...)
		}
		m.text(MetaRoot, calltree.WriteRoot(c.Root, c.ID))
		m.text(MetaPath, calltree.JoinPath(c.Path, c.From.Agent))
		m.text(MetaKey, c.Key)
		m.text(metaKeeper, c.Keeper)
		m.text(metaState, c.State)
		m.number(MetaDepth, int64(max(c.Depth, 0)))
		if c.Attempt > 1 {
			m.number(MetaAttempt, int64(c.Attempt))
		}
		if len(c.Inputs) > 0 {
			b, err := json.Marshal(c.Inputs)
			if err != nil {
				return dst, err
			}
			m.text(metaInputs, string(b))
		}
	}
	if len(m.dst) > m.start {
		m.dst = append(m.dst, '}')
	}
	return m.dst, nil
}
