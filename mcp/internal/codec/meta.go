package codec

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// Keys of our own in `_meta`. Those of requests are sent to our own runtimes only, and believed
// from them only; two are taken from anyone: the timeout, which can only shorten, and the key,
// which counts among the calls of one client only.
const (
	MetaPrefix = "openmas/"
	// the call's id; also on what the server sends to the client on behalf of that call
	MetaID        = "openmas/id"
	MetaTimeout   = "openmas/timeout" // milliseconds left
	MetaCaller    = "openmas/caller"  // the agent that calls
	MetaInstance  = "openmas/instance"
	MetaUser      = "openmas/user"      // for whom the entry call was made
	MetaUntrusted = "openmas/untrusted" // true: the caller is not, although the peer is
	MetaRoot      = "openmas/root"
	MetaPath      = "openmas/path"
	MetaKey       = wire.KeyMember   // taken from anyone
	metaKeeper    = "openmas/keeper" // see agent.Call
	MetaDepth     = "openmas/depth"
	metaBudget    = "openmas/budget" // see agent.Call
	MetaAttempt   = "openmas/attempt"
	// answers to an earlier result's openmas/pending, as JSON text: the SDK would round their
	// numbers
	metaInputs = "openmas/inputs"
	metaState  = "openmas/state"
)

// Keys of our own in the `_meta` of results.
const (
	MetaCode        = "openmas/code"         // the code of an agent.Error
	MetaRetryAfter  = "openmas/retry-after"  // milliseconds
	metaDetails     = "openmas/details"      // any JSON
	metaRPC         = "openmas/rpc"          // the JSON-RPC error that it was made of, told to our own clients only
	MetaNotExecuted = "openmas/not-executed" // true: refused before dispatch
	metaLogged      = "openmas/logged"       // true: a log has a line about it
	metaGenerated   = "openmas/generated"    // true: the content is nothing but the structured value as text
	// a structured value beside content of its own, as JSON text: MCP has no place for it, or the
	// SDK would round its numbers
	metaStructured = "openmas/structured"
	metaPending    = "openmas/pending" // an agent.Pending: no result yet, input is wanted; said to our own clients only
)

// ContentLogger is the logger of log messages that are none, between our own processes: their data
// is a list of content blocks, a part of the result that is there before the call has ended.
const ContentLogger = "openmas/content"

// EventTool is the reserved, hidden tool by which events reach an agent that is hosted elsewhere.
const EventTool = "openmas.event"

// traceKeys is the W3C trace context, which MCP carries unprefixed.
var traceKeys = [...]string{wire.TraceParent, wire.TraceState, wire.Baggage}

// CallMeta is what the `_meta` of a request says about its call.
type CallMeta struct {
	ID, Key, Keeper, Budget      string
	Caller, Instance, User, Root string
	// Untrusted: the peer says of the caller that it is not to be trusted.
	Untrusted      bool
	Path           []string
	Depth, Attempt int
	Timeout        time.Duration     // 0: none was given
	Trace          map[string]string // W3C; nil without
	Inputs         map[string]json.RawMessage
	State          string
	Progress       any // the progress token, a string or a number; nil: the client did not ask for progress
}

// RequestMeta is what the `_meta` of a request is made from. A peer that is not ours gets the trace
// context only, and the baggage in it only where Baggage says so: it may hold what is not for
// strangers.
type RequestMeta struct {
	*agent.Call
	Trusted  bool
	Baggage  bool
	Progress string // the progress token; empty: none
	Members  []byte // more members, as JSON without the braces
}

// Decoded is the `_meta` as the SDK takes it, never nil. The deadline is that of ctx.
func (r RequestMeta) Decoded(ctx context.Context) sdk.Meta {
	m := sdk.Meta{}
	if raw := r.append(ctx, nil); len(raw) > 0 {
		_ = json.Unmarshal(raw, &m) // it was just encoded
	}
	return m
}

// append appends it as JSON; nothing when it is empty.
func (r RequestMeta) append(ctx context.Context, dst []byte) []byte {
	m := metaWriter{dst: dst, start: len(dst)}
	if len(r.Members) > 0 {
		m.dst = append(append(m.dst, '{'), r.Members...)
	}
	for _, k := range traceKeys {
		if k != wire.Baggage || r.Trusted || r.Baggage {
			m.text(k, r.Meta[k])
		}
	}
	m.text("progressToken", r.Progress)
	if r.Trusted {
		m.call(ctx, r.Call)
	}
	if len(m.dst) == m.start {
		return dst
	}
	return append(m.dst, '}')
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
	m.text(metaBudget, c.Budget)
	if c.Attempt > 1 {
		m.number(MetaAttempt, int64(c.Attempt))
	}
	if len(c.Inputs) > 0 {
		if b, err := json.Marshal(c.Inputs); err == nil { // else they are no JSON, and the server asks again
			m.text(metaInputs, string(b))
		}
	}
}

// ReadMeta reads the `_meta` of a request that the SDK has decoded, as far as the caller is
// believed. Members of the wrong type count as absent.
func ReadMeta(m map[string]any, trusted bool) CallMeta {
	out := CallMeta{Attempt: 1}
	for k, v := range m {
		if raw, err := json.Marshal(v); err == nil {
			out.scan([]byte(k), raw, trusted)
		}
	}
	switch t := m["progressToken"].(type) {
	case string, float64, int64, int, json.Number:
		out.Progress = t // the SDK's word on what a token is
	default:
		out.Progress = nil
	}
	return out
}

// milliseconds is a duration that a peer named; nonsense is none.
func milliseconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// atLeast bounds a small number that a peer named.
func atLeast(n, least int64) int { return int(min(max(n, least), math.MaxInt32)) }

// resultMeta copies the metadata of a result, leaving out what is ours to say.
func resultMeta(in map[string]json.RawMessage) sdk.Meta {
	out := sdk.Meta{}
	for k, v := range in {
		if !strings.HasPrefix(k, MetaPrefix) {
			out[k] = v
		}
	}
	return out
}

// EventArgs are the arguments of a call to eventTool.
type EventArgs struct {
	Topic   string          `json:"topic"`
	ID      string          `json:"id"`
	Source  string          `json:"source"`
	Attempt int             `json:"attempt"`
	Payload json.RawMessage `json:"payload"`
}

// EventArgsOf describes the delivery c, a call of agent.OpEvent.
func EventArgsOf(c *agent.Call) EventArgs {
	return EventArgs{Topic: c.Name, ID: c.ID, Source: c.From.Agent, Attempt: c.Attempt, Payload: c.Input}
}

// Fill makes c the delivery that a describes, but for its source.
func (a EventArgs) Fill(c *agent.Call) {
	c.Op, c.Name, c.ID, c.Attempt, c.Input = agent.OpEvent, a.Topic, a.ID, max(a.Attempt, 1), a.Payload
}

// ResultFormat is how a request is to be answered.
type ResultFormat struct {
	Version string
	Trusted bool
}

// WantsInput reports whether a result asks the client, in words that it knows.
func (s ResultFormat) WantsInput(res *agent.Result) bool {
	return s.Version > Version20251125 && res.Pending != nil
}

// scan reads a member, if the caller is believed there. What is not plain has no value then.
func (m *CallMeta) scan(k, v []byte, trusted bool) (ok bool) {
	switch string(k) {
	case wire.TraceParent, wire.TraceState, wire.Baggage:
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
	case metaBudget:
		m.Budget, ok = rawjson.Unquote(v)
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
