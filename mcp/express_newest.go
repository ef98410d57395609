package mcp

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// The newest era on the lane. It has no handshake: each request says who its client is and what
// that can do, each result what server it is from, and over HTTP the headers say again what is
// called.

const (
	methodDiscover = "server/discover"
	methodHeader   = "Mcp-Method"
	nameHeader     = "Mcp-Name"

	maxIntroduction = 8 << 10 // bytes that a client may take to say who it is
)

// reserved holds the values of the members of a `_meta` that are the protocol's, as they stand in
// the message; nil where there is none.
type reserved struct{ version, info, capabilities, level []byte }

// take reports whether the lane knows the member.
func (r *reserved) take(k string, v []byte) bool {
	switch k {
	case sdk.MetaKeyProtocolVersion:
		return once(&r.version, v)
	case sdk.MetaKeyClientInfo:
		return once(&r.info, v)
	case sdk.MetaKeyClientCapabilities:
		return once(&r.capabilities, v)
	case sdk.MetaKeyLogLevel:
		return once(&r.level, v)
	}
	return false
}

func (r *reserved) empty() bool {
	return r.version == nil && r.info == nil && r.capabilities == nil && r.level == nil
}

// An introduction is what clients say of themselves, as it stands in the message and as the SDK
// understands it. It does not change.
type introduction struct {
	info, capabilities string
	client             *sdk.Implementation // nil: it has not said
	can                *sdk.ClientCapabilities
}

// newRound reads what a request says beside its call; nil: the SDK has to judge.
func (e *endpoint) newRound(said *reserved) (*round, *introduction) {
	level := ""
	if said.level != nil {
		var ok bool
		if level, ok = wire.Unquote(said.level); !ok || level != "info" && slogLevel(level) == slog.LevelInfo {
			return nil, nil
		}
	}
	who := e.introduce(said)
	if string(said.version) != `"`+eraNewest+`"` || who == nil {
		return nil, nil
	}
	return &round{caps: who.can, level: level}, who
}

// introduce decodes an introduction, unless it is the last one again.
func (e *endpoint) introduce(said *reserved) *introduction {
	if last := e.lastIntro.Load(); last != nil && last.info == string(said.info) &&
		last.capabilities == string(said.capabilities) {
		return last
	}
	if len(said.info)+len(said.capabilities) > maxIntroduction {
		return nil
	}
	meta := sdk.Meta{}
	for k, raw := range map[string][]byte{sdk.MetaKeyClientInfo: said.info,
		sdk.MetaKeyClientCapabilities: said.capabilities} {
		var v any
		if raw != nil && json.Unmarshal(raw, &v) == nil {
			meta[k] = v
		}
	}
	about := sdk.ServerRequest[*sdk.PingParams]{Params: &sdk.PingParams{Meta: meta}}
	i := &introduction{string(said.info), string(said.capabilities), about.ClientInfo(), about.ClientCapabilities()}
	if i.can == nil || i.client == nil && said.info != nil {
		return nil
	}
	e.lastIntro.Store(i)
	return i
}

// tell sends a notice about a call of the lane, if the client wants it.
func (r *round) tell(ctx context.Context, method string, params any) error {
	if l, ok := params.(*sdk.LoggingMessageParams); ok &&
		(r.level == "" || slogLevel(string(l.Level)) < slogLevel(r.level)) {
		return nil
	}
	msg, err := encodeMessage(nil, method, params)
	if err != nil {
		return err
	}
	return r.send(ctx, msg)
}

// encodeMessage makes a request, or without an id a notification.
func encodeMessage(id json.RawMessage, method string, params any) ([]byte, error) {
	return json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Method  string          `json:"method"`
		Params  any             `json:"params,omitempty"`
	}{"2.0", id, method, params})
}

// plainHeaders reports whether a POST's headers say what its message does. There are more of them
// for tools that want their arguments there too.
func (x *expressCall) plainHeaders(h http.Header) bool {
	method, name := h[methodHeader], h[nameHeader]
	return len(method) == 1 && method[0] == methodCall && len(name) == 1 && name[0] == x.req.name && name[0] != "" &&
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

// overhear keeps what the SDK's client says of itself when it asks the server for its versions:
// calls on the lane say the same.
func (s *Session) overhear(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, r sdk.Request) (sdk.Result, error) {
		if method == methodDiscover {
			meta := sdk.Meta{sdk.MetaKeyLogLevel: s.logLevel()}
			for k, v := range r.GetParams().GetMeta() {
				meta[k] = v
			}
			if raw, err := json.Marshal(meta); err == nil {
				s.says = raw[1 : len(raw)-1]
			}
		}
		return next(ctx, method, r)
	}
}

// offer notes what the server offers.
func (s *Session) offer(info *agent.Info) {
	heads := map[string]bool{}
	for _, t := range info.Tools {
		if headed(t.InputSchema) {
			heads[t.Name] = true
		}
	}
	s.heads.Store(&heads)
	s.info.Store(info)
}

// rides reports whether a call can take the lane. In the newest era the SDK's client carries the
// answers to questions, and over HTTP adds headers for arguments that a tool wants there.
func (s *Session) rides(out outgoing, name string) bool {
	if s.lane == nil || out.responses != nil || out.state != "" {
		return false
	}
	return s.link.http == nil || !s.newest() || plainName(name) && !(*s.heads.Load())[name]
}

// plainName reports whether a name can stand in a header.
func plainName(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return name != ""
}
