package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/server/internal/held"
)

// A request is what a client wants, however its message was decoded.
type request struct {
	op    agent.Op
	name  string // as the client spells it: an exported name, agent.name, or a URI
	input json.RawMessage
	meta  codec.CallMeta
	id    string // of JSON-RPC, without quotes; empty: it is not known
	round *round // nil: the client can be asked while the call runs
	// the context given to serveCall ends with the session, and when it has been served
	bound bool
}

// newRequest gives the call its id if the client did not.
func newRequest(op agent.Op, name string, input json.RawMessage, meta codec.CallMeta) request {
	r := request{op: op, name: name, input: input, meta: meta}
	if r.meta.ID == "" {
		r.meta.ID = strconv.FormatUint(rand.Uint64(), 36)
	}
	return r
}

// arguments are those of a call as any callee can read them. What is not UTF-8 in them becomes
// U+FFFD: some servers end the session of all callers for it. Strangers' are an object: some
// servers do not answer where they are something else.
func (r *request) arguments(trusted bool) (json.RawMessage, error) {
	in := r.input
	if !utf8.Valid(in) {
		in = bytes.ToValidUTF8(in, []byte("\uFFFD"))
	}
	if r.op != agent.OpTool || trusted {
		return in, nil
	}
	switch jsonedit.Kind(in) {
	case 0, 'n', '{':
		return in, nil
	}
	return nil, agent.Refusedf(agent.CodeInvalidArgument,
		"invalid input: the arguments of tool %s are no object: %.40s", r.name, in)
}

// unknownError says that an endpoint does not offer what a request names. meant is how it ends:
// with what may have been meant, or "".
type unknownError struct {
	kind, name, meant string
	trace             string // see agent.Error
}

func (e *unknownError) Error() string { return fmt.Sprintf("unknown %s %q%s", e.kind, e.name, e.meant) }

// rpcError is what the protocol says to a client where there is no result to hold the error. uri is
// set for resources.
func rpcError(err error, uri string, trusted bool) error {
	if u := (*unknownError)(nil); errors.As(err, &u) {
		if uri != "" {
			e := agent.Refusedf(agent.CodeNotFound, "resource %q does not exist", uri)
			e.Trace = u.trace
			return codec.ToRPCError(e, uri)
		}
		return codec.UnknownName(u.Error(), u.trace)
	}
	if s := (*stateError)(nil); errors.As(err, &s) {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: s.Error()}
	}
	if m := (*held.CapabilityError)(nil); errors.As(err, &m) {
		return m.RPC()
	}
	return codec.ToPeerError(err, uri, trusted)
}

// isProtocolError reports whether an error is about the request and not about the tool.
func isProtocolError(err error) bool {
	var unknown *unknownError
	var state *stateError
	var missing *held.CapabilityError
	return errors.As(err, &unknown) || errors.As(err, &state) || errors.As(err, &missing)
}

// A round is what a request of protocol 2026-07-28 carries besides its call.
type round struct {
	caps    *sdk.ClientCapabilities
	answers map[string]json.RawMessage // by the ids of the questions
	state   string                     // empty: the first
	// answered names the answers of this round and those before it, to questions of the tool. It is
	// empty without any.
	answered string
	// On the fast path: what sends its notices, and from which level on log messages are wanted
	// (empty: none). Else the SDK knows.
	send  func(ctx context.Context, msg []byte) error
	level string
}

// stateError says that a state is none of ours, or not for this call.
type stateError struct{ why error }

func (e *stateError) Error() string { return "requestState: " + e.why.Error() }

// Protocol 2026-07-28 on the fast path. It has no handshake: each request says who its client is
// and what that can do, each result what server it is from, and over HTTP the headers say again
// what is called.

const (
	maxIntroduction = 8 << 10 // bytes that a client may take to say who it is
)

// newRound reads what a request says beside its call; nil: the SDK has to judge.
func (e *endpoint) newRound(said *codec.ReservedMeta) (*round, *clientInfo) {
	level := ""
	if said.LogLevel != nil {
		var ok bool
		if level, ok = rawjson.Unquote(said.LogLevel); !ok ||
			level != "info" && codec.FromLevel(level) == slog.LevelInfo {
			return nil, nil
		}
	}
	who := e.readClientInfo(said)
	if string(said.Version) != `"`+codec.Version20260728+`"` || who == nil {
		return nil, nil
	}
	return &round{caps: who.can, level: level}, who
}

// readClientInfo decodes an introduction, unless it is the last one again.
func (e *endpoint) readClientInfo(said *codec.ReservedMeta) *clientInfo {
	if last := e.lastClient.Load(); last != nil && last.info == string(said.Info) &&
		last.capabilities == string(said.Capabilities) {
		return last
	}
	if len(said.Info)+len(said.Capabilities) > maxIntroduction {
		return nil
	}
	meta := sdk.Meta{}
	for k, raw := range map[string][]byte{sdk.MetaKeyClientInfo: said.Info,
		sdk.MetaKeyClientCapabilities: said.Capabilities} {
		var v any
		if raw != nil && json.Unmarshal(raw, &v) == nil {
			meta[k] = v
		}
	}
	info, caps := aboutClient(meta)
	i := &clientInfo{string(said.Info), string(said.Capabilities), info, caps}
	if i.can == nil || i.client == nil && said.Info != nil {
		return nil
	}
	e.lastClient.Store(i)
	return i
}

// addServerInfo adds the server's name to a result, as the SDK does.
func (e *endpoint) addServerInfo(res *sdk.CallToolResult) {
	if res.Meta == nil {
		res.Meta = sdk.Meta{}
	}
	if _, said := res.Meta[sdk.MetaKeyServerInfo]; !said {
		res.Meta[sdk.MetaKeyServerInfo] = e.self
	}
}
