package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// The newest era on the lane. It has no handshake: each request says who its client is and what
// that can do, each result what server it is from, and over HTTP the headers say again what is
// called.

const (
	maxIntroduction = 8 << 10 // bytes that a client may take to say who it is
)

// An introduction is what clients say of themselves, as it stands in the message and as the SDK
// understands it. It does not change.
type introduction struct {
	info, capabilities string
	client             *sdk.Implementation // nil: it has not said
	can                *sdk.ClientCapabilities
}

// newRound reads what a request says beside its call; nil: the SDK has to judge.
func (e *endpoint) newRound(said *codec.Reserved) (*round, *introduction) {
	level := ""
	if said.Level != nil {
		var ok bool
		if level, ok = wire.Unquote(said.Level); !ok || level != "info" && codec.SlogLevel(level) == slog.LevelInfo {
			return nil, nil
		}
	}
	who := e.introduce(said)
	if string(said.Version) != `"`+codec.EraNewest+`"` || who == nil {
		return nil, nil
	}
	return &round{caps: who.can, level: level}, who
}

// introduce decodes an introduction, unless it is the last one again.
func (e *endpoint) introduce(said *codec.Reserved) *introduction {
	if last := e.lastIntro.Load(); last != nil && last.info == string(said.Info) &&
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
	about := sdk.ServerRequest[*sdk.PingParams]{Params: &sdk.PingParams{Meta: meta}}
	i := &introduction{string(said.Info), string(said.Capabilities), about.ClientInfo(), about.ClientCapabilities()}
	if i.can == nil || i.client == nil && said.Info != nil {
		return nil
	}
	e.lastIntro.Store(i)
	return i
}

// tell sends a notice about a call of the lane, if the client wants it.
func (r *round) tell(ctx context.Context, method string, params any) error {
	if l, ok := params.(*sdk.LoggingMessageParams); ok &&
		(r.level == "" || codec.SlogLevel(string(l.Level)) < codec.SlogLevel(r.level)) {
		return nil
	}
	msg, err := codec.EncodeMessage(nil, method, params)
	if err != nil {
		return err
	}
	return r.send(ctx, msg)
}

// plainHeaders reports whether a POST's headers say what its message does. There are more of them
// for tools that want their arguments there too.
func (x *expressCall) plainHeaders(h http.Header) bool {
	method, name := h[codec.MethodHeader], h[codec.NameHeader]
	return len(method) == 1 && method[0] == codec.MethodCall && len(name) == 1 && name[0] == x.req.name && name[0] != "" &&
		!x.ep.catalog.Load().tools[name[0]].heads
}

// named adds the server's name to a result, as the SDK does.
func (e *endpoint) named(res *sdk.CallToolResult) *sdk.CallToolResult {
	if res.Meta == nil {
		res.Meta = sdk.Meta{}
	}
	if _, said := res.Meta[sdk.MetaKeyServerInfo]; !said {
		res.Meta[sdk.MetaKeyServerInfo] = e.self
	}
	return res
}
