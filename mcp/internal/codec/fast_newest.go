package codec

import (
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// What requests of the newest era say in their headers, and how its clients begin.
const (
	MethodDiscover = "server/discover"
	MethodHeader   = "Mcp-Method"
	NameHeader     = "Mcp-Name"
)

// Reserved holds the values of the members of a `_meta` that are the protocol's, as they stand in
// the message; nil where there is none.
type Reserved struct{ Version, Info, Capabilities, Level []byte }

// take reports whether the lane knows the member.
func (r *Reserved) take(k string, v []byte) bool {
	switch k {
	case sdk.MetaKeyProtocolVersion:
		return Once(&r.Version, v)
	case sdk.MetaKeyClientInfo:
		return Once(&r.Info, v)
	case sdk.MetaKeyClientCapabilities:
		return Once(&r.Capabilities, v)
	case sdk.MetaKeyLogLevel:
		return Once(&r.Level, v)
	}
	return false
}

func (r *Reserved) Empty() bool {
	return r.Version == nil && r.Info == nil && r.Capabilities == nil && r.Level == nil
}

// EncodeMessage makes a request, or without an id a notification.
func EncodeMessage(id json.RawMessage, method string, params any) ([]byte, error) {
	return json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Method  string          `json:"method"`
		Params  any             `json:"params,omitempty"`
	}{"2.0", id, method, params})
}
