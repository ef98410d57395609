package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/jsonedit"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// CodeResourceNotFound is the error for an unknown URI in the versions with a handshake.
const CodeResourceNotFound = -32002

// RPCErrorData is the data of our JSON-RPC errors.
type RPCErrorData struct {
	URI   string       `json:"uri,omitempty"` // of a resource that was not found
	Error *agent.Error `json:"openmas/error,omitempty"`
	Trace string       `json:"traceparent,omitempty"` // in place of that of the error: it is for everybody
}

// ToRPCError says err where MCP has no isError result: prompts, resources, completion, and tools
// that do not exist. uri is set for resources.
func ToRPCError(err error, uri string) error { return rpcErrorOf(agent.AsError(err), uri) }

func rpcErrorOf(e *agent.Error, uri string) *jsonrpc.Error {
	out := &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: e.Error()}
	plain := *e
	plain.Trace = ""
	data := RPCErrorData{Error: &plain, Trace: e.Trace}
	switch {
	case e.Code == agent.CodeNotFound && uri != "":
		out.Code, data.URI = CodeResourceNotFound, uri
	case e.Code == agent.CodeNotFound, e.Code == agent.CodeInvalidArgument:
		out.Code = jsonrpc.CodeInvalidParams
	case e.Code == agent.CodeUnimplemented:
		out.Code = jsonrpc.CodeMethodNotFound
	}
	if raw, err := json.Marshal(data); err == nil {
		out.Data = raw
	}
	return out
}

// ToPeerError is [ToRPCError] for a peer. To a stranger, the JSON-RPC error that another peer
// answered with passes as it came; ours learn all of it.
func ToPeerError(err error, uri string, trusted bool) error {
	e := agent.AsError(err)
	if trusted {
		return rpcErrorOf(e, uri)
	}
	raw, err := ReadObject(e.RPC)
	if err != nil {
		told := *e
		told.Logged, told.Raw, told.RPC = false, nil, nil
		return rpcErrorOf(&told, uri)
	}
	if uri != "" && e.Code == agent.CodeNotFound {
		raw.Set("code", rpcNumber(CodeResourceNotFound))
	}
	if o, err := ReadObject(raw.Get("data")); uri != "" && err == nil && o.Get("uri") != nil {
		o.Set("uri", jsonedit.String(uri)) // the peer may have another one for it
		raw.Set("data", o.Raw())
	}
	return foreignRPCError(raw)
}

// UnknownName is the protocol's answer to a call of a tool, or a prompt, that does not exist, in
// the SDK's words, without our code: unknown tool "x". trace is that of the error.
func UnknownName(text, trace string) error {
	e := agent.Refusedf(agent.CodeNotFound, "%s", text)
	e.Trace = trace
	err := rpcErrorOf(e, "")
	err.Message = text
	return err
}

// foreignRPCError is the JSON-RPC error that raw is. What the SDK has no field for passes it as
// data: see [wire.ShowError].
func foreignRPCError(raw *Object) *jsonrpc.Error {
	out := &jsonrpc.Error{Message: raw.text("message"), Data: raw.Get("data")}
	out.Code, _ = strconv.ParseInt(string(raw.Get("code")), 10, 64) // always one: see foreignRPC
	if slices.ContainsFunc(raw.Object, func(m jsonedit.Member) bool {
		return m.Key != "code" && m.Key != "message" && m.Key != "data"
	}) {
		out.Data = wire.HideError(raw.Raw())
	}
	return out
}

// Renumber gives a JSON-RPC error another code.
func Renumber(rpc *jsonrpc.Error, code int64) {
	rpc.Code = code
	if raw, err := ReadObject(wire.HiddenError(rpc.Data)); err == nil {
		raw.Set("code", rpcNumber(code))
		rpc.Data = wire.HideError(raw.Raw())
	}
}

func rpcNumber(code int64) json.RawMessage { return strconv.AppendInt(nil, code, 10) }

// foreignRPC is the error of a foreign peer as it goes to others: as it came, but for what only our
// own may say, and for what no client could read.
func foreignRPC(err error, rpc *jsonrpc.Error) json.RawMessage {
	raw := &Object{}
	var came *wire.RPCError
	if errors.As(err, &came) {
		if o, bad := ReadObject(Readable(came.Raw)); bad == nil {
			raw = o
		}
	}
	raw.dropOurs()
	if code := rpcNumber(rpc.Code); string(raw.Get("code")) != string(code) {
		raw.Set("code", code)
	}
	if raw.text("message") != rpc.Message {
		raw.Set("message", jsonedit.String(rpc.Message))
	}
	switch was, data := raw.Get("data"), withoutOurs(rpc.Data); {
	case len(data) == 0:
		raw.Delete("data")
	case string(was) != string(data):
		raw.Set("data", Readable(data))
	}
	return raw.Raw()
}

// FromRPCError reads a JSON-RPC error; ok is false when err holds none. A trusted peer says exactly
// what it means. For others the number is translated, and kept with the data for clients of ours.
func FromRPCError(err error, trusted bool) (e *agent.Error, ok bool) {
	var rpc *jsonrpc.Error
	if !errors.As(err, &rpc) {
		return nil, false
	}
	var data RPCErrorData
	if json.Unmarshal(rpc.Data, &data) != nil {
		data = RPCErrorData{}
	}
	if trusted && data.Error != nil {
		data.Error.Trace = traceParent(data.Trace)
		return data.Error, true
	}
	code := agent.CodeInternal
	switch rpc.Code {
	case CodeResourceNotFound:
		code = agent.CodeNotFound
	case jsonrpc.CodeInvalidParams:
		code = agent.CodeInvalidArgument
		if m := strings.ToLower(rpc.Message); strings.Contains(m, "unknown") || strings.Contains(m, "not found") {
			code = agent.CodeNotFound
		}
	case jsonrpc.CodeMethodNotFound:
		code = agent.CodeUnimplemented
	case sdk.CodeURLElicitationRequired:
		code = agent.CodeToolFailed
	}
	e = agent.Errorf(code, "%s", rpc.Message)
	e.RPC, e.Details, e.Trace = foreignRPC(err, rpc), Readable(withoutOurs(rpc.Data)), traceParent(data.Trace)
	return e, true
}

// traceParent is what a peer says that the trace of an error is, if it is a traceparent.
func traceParent(said string) string {
	if !traceParentForm.MatchString(said) {
		return ""
	}
	return said
}

var traceParentForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// withoutOurs is an object of a foreign peer without the members that only our own may say.
func withoutOurs(raw json.RawMessage) json.RawMessage {
	o, err := ReadObject(raw)
	if err != nil || !o.dropOurs() {
		return raw
	}
	if len(o.Object) == 0 {
		return nil
	}
	return o.Raw()
}

// WithoutURL cuts the URL, which may hold a secret, out of what an HTTP client says.
func WithoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	if errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "closed") {
		return fmt.Errorf("the connection was closed: %w", err)
	}
	return err
}
