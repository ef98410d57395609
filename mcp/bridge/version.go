package bridge

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const handshakeOnly = "the bridge speaks the versions of the protocol that begin with a handshake"

// declined is the answer to a request of a protocol version without a handshake; nil for any other.
// Such requests cannot pass unchanged, since over HTTP they repeat parts of themselves in headers,
// and HTTP+SSE does not have that version. Clients ask first whether a server has it, with
// server/discover. A server with a handshake does not know that method, and at the answer that says
// so all clients fall back to the handshake; not all do at a list of versions.
func declined(env *wire.Envelope) []byte {
	if env.ID == nil || env.Method == nil {
		return nil
	}
	if string(env.Method) == "server/discover" {
		return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"method not found: %s"}}`,
			env.ID, jsonrpc.CodeMethodNotFound, "server/discover: "+handshakeOnly)
	}
	var meta, version []byte
	rawjson.Object(env.Params, func(k, v []byte) bool { return string(k) != "_meta" || codec.SetOnce(&meta, v) })
	rawjson.Object(meta, func(k, v []byte) bool {
		return string(k) != sdk.MetaKeyProtocolVersion || codec.SetOnce(&version, v)
	})
	var asked string
	if json.Unmarshal(version, &asked) != nil || asked <= codec.Version20251125 {
		return nil
	}
	spoken := slices.DeleteFunc(slices.Clone(sdk.SupportedProtocolVersions()), func(v string) bool {
		return v > codec.Version20251125
	})
	// strings always encode
	data, _ := json.Marshal(sdk.UnsupportedProtocolVersionData{Supported: spoken, Requested: asked})
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"%s","data":%s}}`,
		env.ID, sdk.CodeUnsupportedProtocolVersion, handshakeOnly, data)
}
