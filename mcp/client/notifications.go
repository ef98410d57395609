package client

import (
	"bytes"
	"context"
	"encoding/json"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// hook takes the notifications before the SDK, where the connection lets it: there they come before
// the result they belong to, at a thirtieth of the price, and a flood of them is dropped instead of
// queued.
func (s *Session) hook(_ []byte, env *wire.Envelope) bool {
	if s.pending.Deliver(env) {
		return true
	}
	// the SDK keeps lists that it has to forget then
	if env.ID != nil || env.Method == nil || bytes.Contains(env.Params, []byte(sdk.MetaKeySubscriptionID)) {
		return false
	}
	switch string(env.Method) {
	case "notifications/progress":
		var p struct {
			Token json.RawMessage `json:"progressToken"`
			agent.ProgressNotice
		}
		if json.Unmarshal(env.Params, &p) == nil {
			if token, ok := rawjson.Unquote(p.Token); ok {
				s.onProgress(token, p.ProgressNotice)
			}
		}
	case "notifications/message":
		var p struct {
			Meta   map[string]any  `json:"_meta"`
			Level  string          `json:"level"`
			Logger string          `json:"logger"`
			Data   json.RawMessage `json:"data"`
		}
		if json.Unmarshal(env.Params, &p) == nil {
			s.onLog(callIDOf(p.Meta), agent.LogNotice{Level: codec.FromLevel(p.Level), Logger: p.Logger, Data: p.Data})
		}
	case "notifications/tools/list_changed":
		s.listChanged(listTools)
	case "notifications/prompts/list_changed":
		s.listChanged(listPrompts)
	case "notifications/resources/list_changed":
		s.listChanged(listResources, listTemplates)
	case "notifications/resources/updated":
		s.onUpdated(env.Params)
	default:
		return false
	}
	return true
}

func callIDOf(meta map[string]any) string {
	id, _ := meta[codec.MetaID].(string)
	return id
}

// backChannelFor is whom a message of the server concerns: the call that it names (only our own
// servers know the names), the only call there is, or the session's owner. nil: nobody.
func (s *Session) backChannelFor(id string) *backChannel {
	if !s.target.Trusted {
		id = ""
	}
	if f := s.backs.find(id); f != nil || id != "" {
		return f // nil when the call is over
	}
	return s.owner
}

func (s *Session) onProgress(token string, p agent.ProgressNotice) {
	if f := s.backs.byProgress(token); f != nil {
		f.notify(s.log, agent.Notice{Progress: &p})
	}
}

func (s *Session) onLog(id string, l agent.LogNotice) {
	if f := s.backChannelFor(id); f != nil {
		n := agent.Notice{Log: &l}
		if s.target.Trusted && l.Logger == codec.ContentLogger {
			n.Log = nil
			if err := json.Unmarshal(l.Data, &n.Content); err != nil {
				s.log.Debug("the server sent content that does not decode", "error", err)
				return
			}
		}
		f.notify(s.log, n)
		return
	}
	s.log.Debug("the server logs, outside of any call", "level", l.Level, "logger", l.Logger, "data",
		string(l.Data[:min(len(l.Data), 1000)]))
}

// receiveOther takes a message that came in the response to a call on the fast path.
func (s *Session) receiveOther(ctx context.Context, raw []byte, env *wire.Envelope) {
	if !s.hook(raw, env) {
		_ = inject(ctx, s.sdk, raw) // fails when the session or the call is over
	}
}
