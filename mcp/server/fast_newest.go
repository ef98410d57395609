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

// Protocol 2026-07-28 on the fast path. It has no handshake: each request says who its client is and what
// that can do, each result what server it is from, and over HTTP the headers say again what is
// called.

const (
	maxIntroduction = 8 << 10 // bytes that a client may take to say who it is
)

// An clientInfo is what clients say of themselves, as it stands in the message and as the SDK
// understands it. It does not change.
type clientInfo struct {
	info, capabilities string
	client             *sdk.Implementation // nil: it has not said
	can                *sdk.ClientCapabilities
}

// newRound reads what a request says beside its call; nil: the SDK has to judge.
func (e *endpoint) newRound(said *codec.ReservedMeta) (*round, *clientInfo) {
	level := ""
	if said.LogLevel != nil {
		var ok bool
		if level, ok = wire.Unquote(said.LogLevel); !ok || level != "info" && codec.FromLevel(level) == slog.LevelInfo {
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
	about := sdk.ServerRequest[*sdk.PingParams]{Params: &sdk.PingParams{Meta: meta}}
	i := &clientInfo{string(said.Info), string(said.Capabilities), about.ClientInfo(), about.ClientCapabilities()}
	if i.can == nil || i.client == nil && said.Info != nil {
		return nil
	}
	e.lastClient.Store(i)
	return i
}

// sendNotice sends a notice about a call of the fast path, if the client wants it.
func (r *round) sendNotice(ctx context.Context, method string, params any) error {
	if l, ok := params.(*sdk.LoggingMessageParams); ok &&
		(r.level == "" || codec.FromLevel(string(l.Level)) < codec.FromLevel(r.level)) {
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
func (x *fastCall) plainHeaders(h http.Header) bool {
	method, name := h[codec.MethodHeader], h[codec.NameHeader]
	return len(method) == 1 && method[0] == codec.MethodCall && len(name) == 1 && name[0] == x.req.name &&
		name[0] != "" &&
		!x.ep.catalog.Load().tools[name[0]].heads
}

// addServerInfo adds the server's name to a result, as the SDK does.
func (e *endpoint) addServerInfo(res *sdk.CallToolResult) *sdk.CallToolResult {
	if res.Meta == nil {
		res.Meta = sdk.Meta{}
	}
	if _, said := res.Meta[sdk.MetaKeyServerInfo]; !said {
		res.Meta[sdk.MetaKeyServerInfo] = e.self
	}
	return res
}
