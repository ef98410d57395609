package codec

import (
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// What requests of protocol 2026-07-28 say in their headers, and how its clients begin.
const (
	MethodDiscover = "server/discover"
	MethodPing     = "ping"
	MethodHeader   = "Mcp-Method"
	NameHeader     = "Mcp-Name"
)

// ReservedMeta holds the values of the members of a `_meta` that are the protocol's, as they stand
// in the message; nil where there is none.
type ReservedMeta struct{ Version, Info, Capabilities, LogLevel []byte }

// set reports whether the fast path knows the member.
func (r *ReservedMeta) set(k string, v []byte) bool {
	switch k {
	case sdk.MetaKeyProtocolVersion:
		return SetOnce(&r.Version, v)
	case sdk.MetaKeyClientInfo:
		return SetOnce(&r.Info, v)
	case sdk.MetaKeyClientCapabilities:
		return SetOnce(&r.Capabilities, v)
	case sdk.MetaKeyLogLevel:
		return SetOnce(&r.LogLevel, v)
	}
	return false
}

// Empty reports whether a request says nothing of the kind.
func (r *ReservedMeta) Empty() bool {
	return r.Version == nil && r.Info == nil && r.Capabilities == nil && r.LogLevel == nil
}

// EncodeMessage makes a request, or without an id a notification.
func EncodeMessage(id json.RawMessage, method string, params any) ([]byte, error) {
	return AppendJSON(nil, struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Method  string          `json:"method"`
		Params  any             `json:"params,omitempty"`
	}{"2.0", id, method, params})
}
