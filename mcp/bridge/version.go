package bridge

import (
	"encoding/json"
	"fmt"
	"slices"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// declined is the answer to a request of a protocol version without a handshake; nil for any other.
// Such requests cannot pass unchanged, since over HTTP they repeat parts of themselves in headers,
// and HTTP+SSE does not have that version. Clients ask first whether a server has it, and fall back
// to the handshake at this answer.
func declined(env *wire.Envelope) []byte {
	if env.ID == nil || env.Method == nil {
		return nil
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
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"the bridge speaks the versions of the protocol that begin with a handshake","data":%s}}`,
		env.ID, sdk.CodeUnsupportedProtocolVersion, data)
}
