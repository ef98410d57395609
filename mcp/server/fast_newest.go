package server

import (
	"encoding/json"
	"log/slog"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

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
