package codec

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/openmas/openmas/agent"
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
	return in, ok && json.Unmarshal([]byte(s), &in) == nil
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

// FastMeta is what the `_meta` of a request is built from: that of [RequestMeta], and what the SDK
// adds.
type FastMeta struct {
	*agent.Call
	Trusted  bool
	Progress string // the progress token; empty: none
	Members  []byte // more members, as JSON without the braces
}

// AppendCall appends the message of a tools/call.
func AppendCall(ctx context.Context, dst []byte, id FastID, name string, args json.RawMessage, m FastMeta) []byte {
	dst = append(id.Append(append(dst, `{"jsonrpc":"2.0","id":`...)), `,"method":"`+MethodCall+`","params":{`...)
	dst = m.append(ctx, dst)
	dst = rawjson.AppendQuote(append(dst, `"name":`...), name)
	return append(AppendOneLine(append(dst, `,"arguments":`...), args), `}}`...)
}

// append appends the member `_meta` and a comma; nothing when it is empty.
func (f FastMeta) append(ctx context.Context, dst []byte) []byte {
	begun := append(dst, `"_meta":`...)
	m := metaWriter{dst: begun, start: len(begun)}
	if len(f.Members) > 0 {
		m.dst = append(append(m.dst, '{'), f.Members...)
	}
	for _, k := range traceKeys {
		m.text(k, f.Meta[k])
	}
	m.text("progressToken", f.Progress)
	if f.Trusted {
		m.call(ctx, f.Call)
	}
	if len(m.dst) == m.start {
		return dst
	}
	return append(m.dst, `},`...)
}

// call writes what only our own runtimes are told.
func (m *metaWriter) call(ctx context.Context, c *agent.Call) {
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
	m.text(MetaRoot, calls.WriteRoot(c.Root, c.ID))
	m.text(MetaPath, calls.JoinPath(c.Path, c.From.Agent))
	m.text(MetaKey, c.Key)
	m.text(metaKeeper, c.Keeper)
	m.text(metaState, c.State)
	m.number(MetaDepth, int64(max(c.Depth, 0)))
	if c.Attempt > 1 {
		m.number(MetaAttempt, int64(c.Attempt))
	}
	if len(c.Inputs) > 0 {
		if b, err := json.Marshal(c.Inputs); err == nil { // else they are no JSON, and the server asks again
			m.text(metaInputs, string(b))
		}
	}
}
