package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/agent"
)

// CodeResourceNotFound is the error for an unknown URI in the versions with a handshake.
const CodeResourceNotFound = -32002

// RPCErrorData is the data of our JSON-RPC errors.
type RPCErrorData struct {
	URI   string       `json:"uri,omitempty"` // of a resource that was not found
	Error *agent.Error `json:"openmas/error,omitempty"`
}

// ToRPCError says err where MCP has no isError result: prompts, resources, completion, and tools
// that do not exist. uri is set for resources.
func ToRPCError(err error, uri string) error { return rpcErrorOf(agent.AsError(err), uri) }

func rpcErrorOf(e *agent.Error, uri string) *jsonrpc.Error {
	out := &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: e.Error()}
	data := RPCErrorData{Error: e}
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

// UnknownName is the protocol's answer to a call of a tool, or a prompt, that does not exist; name
// is as the client wrote it.
func UnknownName(kind, name string) error {
	err := rpcErrorOf(agent.Refusedf(agent.CodeNotFound, "unknown %s %q", kind, name), "")
	err.Message = fmt.Sprintf("unknown %s %q", kind, name) // the SDK's words, without our code
	return err
}

// FromRPCError reads a JSON-RPC error; ok is false when err holds none. A trusted peer says exactly
// what it means, for others the number is translated.
func FromRPCError(err error, trusted bool) (e *agent.Error, ok bool) {
	var rpc *jsonrpc.Error
	if !errors.As(err, &rpc) {
		return nil, false
	}
	var data RPCErrorData
	if json.Unmarshal(rpc.Data, &data) == nil && data.Error != nil {
		data.Error.NotExecuted = data.Error.NotExecuted && trusted
		data.Error.Logged = data.Error.Logged && trusted
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
	}
	return agent.Errorf(code, "%s", rpc.Message), true
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
