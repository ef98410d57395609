package client

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/rawjson"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// hook takes the notifications before the SDK, where the connection lets it: there they come before
// the result they belong to, at a thirtieth of the price, and a flood of them is dropped instead of
// queued. The server's questions pass through the SDK as they came.
func (s *Session) hook(_ []byte, env *wire.Envelope) bool {
	s.life.hear()
	if both := env.Both(); both != nil {
		s.log.Warn("the server sent a message that is a request and an answer at once: a call that it names fails",
			"method", string(env.Method), "id", string(env.ID))
		if id, ok := both.AnswerID(); ok && s.calls.waits(id) {
			*env = *both
		}
	}
	if env.Method == nil && env.Error != nil && (env.ID == nil || string(env.ID) == "null") && !s.adopt(env) {
		return true
	}
	if s.pending.Deliver(env) {
		return true
	}
	s.mendHello(env)
	if env.ID != nil && env.Method != nil && codec.KindOf(string(env.Method)) != "" {
		env.Params = codec.Carry(env.Params)
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
				s.onProgress(token, agent.Notice{Progress: &p.ProgressNotice, Raw: s.asItCame(env.Params)})
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
			s.onLog(callIDOf(p.Meta), agent.Notice{Raw: s.asItCame(env.Params),
				Log: &agent.LogNotice{Level: codec.FromLevel(p.Level), Logger: p.Logger, Data: p.Data}})
		}
	case codec.MethodElicitComplete:
		var p struct {
			Meta map[string]any `json:"_meta"`
			ID   string         `json:"elicitationId"`
		}
		if json.Unmarshal(env.Params, &p) == nil {
			s.onElicitComplete(callIDOf(p.Meta), agent.Notice{Raw: s.asItCame(env.Params), ElicitComplete: p.ID})
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

// adopt makes an error that names no request the answer to the only one there is. It is false for
// one that may be anybody's.
func (s *Session) adopt(env *wire.Envelope) bool {
	id, ok := s.calls.only()
	if ok {
		env.ID = strconv.AppendInt(nil, id, 10)
		return true
	}
	_, err := env.ReadAnswer()
	s.log.Warn("the server sent an error that names no request: a call that waits for it fails when its time is over",
		"error", err)
	return false
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
	if b := s.backs.find(id); b != nil || id != "" {
		return b // nil when the call is over
	}
	return s.owner
}

// asItCame are the params of a notification for clients of ours; nil for those of our own servers,
// which our types hold.
func (s *Session) asItCame(params []byte) json.RawMessage {
	if s.target.Trusted {
		return nil
	}
	return codec.Readable(bytes.Clone(params))
}

func (s *Session) onProgress(token string, n agent.Notice) {
	if b := s.backs.byProgress(token); b != nil {
		b.notify(n)
	}
}

func (s *Session) onLog(id string, n agent.Notice) {
	l := n.Log
	if b := s.backChannelFor(id); b != nil {
		if s.target.Trusted && l.Logger == codec.ContentLogger {
			n.Log = nil
			if err := json.Unmarshal(l.Data, &n.Content); err != nil {
				s.log.Debug("the server sent content that does not decode", "error", err)
				return
			}
		}
		b.notify(n)
		return
	}
	s.log.Debug("the server logs, outside of any call", "level", l.Level, "logger", l.Logger, "data",
		string(l.Data[:min(len(l.Data), 1000)]))
}

// onElicitComplete reports that a page is done with to the call that its user was sent there for,
// once. What no call has asked for, or one that is over, is ignored.
func (s *Session) onElicitComplete(call string, n agent.Notice) {
	if !s.target.Trusted {
		call = ""
	}
	if b := s.backs.visited(call, n.ElicitComplete); b != nil {
		b.notify(n)
	}
}

// receiveOther takes a message that came in the response to a call on the fast path.
func (s *Session) receiveOther(ctx context.Context, raw []byte, env *wire.Envelope) {
	if left := leftBy(s.hook, raw, env); left != nil {
		_ = inject(ctx, s.sdk, left) // fails when the session or the call is over
	}
}

// Subscribe asks the server to tell of changes of a resource: see [Options.OnUpdated].
// unimplemented: it does not do that.
func (s *Session) Subscribe(ctx context.Context, uri string) error {
	if caps := s.sdk.InitializeResult().Capabilities; caps == nil || caps.Resources == nil ||
		!caps.Resources.Subscribe {
		return agent.Refusedf(agent.CodeUnimplemented, "%s tells nobody of changed resources", &s.target)
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.HandshakeTimeout)
	defer cancel()
	if err := s.sdk.Subscribe(ctx, &sdk.SubscribeParams{URI: uri}); err != nil {
		if e, ok := codec.FromRPCError(err, s.target.Trusted); ok {
			return e
		}
		return agent.Errorf(agent.CodeUnavailable, "subscribe to %s of %s: %w", uri, &s.target, codec.WithoutURL(err))
	}
	return nil
}

// onUpdated notes that a resource has changed; relist calls Options.OnUpdated.
func (s *Session) onUpdated(params json.RawMessage) {
	var p agent.ResourceUpdate
	if s.opts.OnUpdated == nil || json.Unmarshal(params, &p) != nil {
		return
	}
	s.noteUpdate(p.URI)
}

func (s *Session) noteUpdate(uri string) {
	s.updates.mu.Lock()
	if s.updates.uris == nil {
		s.updates.uris = map[string]bool{}
	}
	if len(s.updates.uris) < maxUpdates {
		s.updates.uris[uri] = true
	}
	s.updates.mu.Unlock()
	s.listChanged()
}
