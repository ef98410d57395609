package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A server of protocol 2026-07-28 that wants a call again, but nothing for it, sheds load: the call
// is repeated maxBusy times.
const maxBusy = 3

var busyWaits = backoff.Policy{Initial: 200 * time.Millisecond, Multiplier: 2, Max: time.Second}

// callInRounds sends a call, and again with the answers as long as the server wants input. That is
// protocol 2026-07-28's way to ask; in the others servers ask while the call waits, and only our
// own may end a call like this, which its caller then repeats.
func (s *Session) callInRounds(ctx context.Context, out request) (*agent.Result, error) {
	if !s.stateless() {
		return s.send(ctx, out)
	}
	var err error
	out.state = out.State
	if out.responses, err = codec.ToInputResponses(out.Inputs); err != nil {
		return nil, err
	}
	for round, sheds := 1, 0; ; round++ {
		res, err := s.send(ctx, out)
		if err != nil || res.Pending == nil {
			return res, err
		}
		if round == codec.MaxRounds {
			return nil, agent.Errorf(agent.CodeResourceExhausted, "%s asked for input %d times", out.Target(),
				codec.MaxRounds)
		}
		out.responses, out.state = nil, res.Pending.State
		if len(res.Pending.Requests) == 0 {
			if sheds++; sheds > maxBusy {
				return nil, agent.Errorf(agent.CodeUnavailable, "%s: the server is busy", out.Target())
			}
			if backoff.Sleep(ctx, busyWaits.Wait(sheds)) != nil {
				return nil, ctx.Err()
			}
			continue
		}
		answers, err := codec.CollectInputs(ctx, roundsBack{s, out.Back}, res.Pending)
		if err != nil {
			return nil, agent.AsError(err)
		}
		if out.responses, err = codec.ToInputResponses(answers); err != nil {
			return nil, err
		}
	}
}

// roundsBack answers a server: whoever made the call does, or else the session's owner.
type roundsBack struct {
	s    *Session
	back agent.BackChannel // nil: the caller answers nothing
}

// Notify implements [agent.BackChannel].
func (roundsBack) Notify(context.Context, agent.Notice) {}

// Request implements [agent.BackChannel].
func (a roundsBack) Request(ctx context.Context, r agent.Request) (raw json.RawMessage, err error) {
	err = agent.Errorf(agent.CodeUnavailable, "nobody answers %q requests", r.Kind)
	if a.back != nil {
		raw, err = a.s.request(ctx, a.back, r)
	}
	if a.s.owner != nil && errors.Is(err, agent.CodeUnavailable) {
		raw, err = a.s.request(ctx, a.s.owner.back, r)
	}
	if err == nil && r.Kind == agent.AskElicit {
		return withDefaults(r.Params, raw), nil
	}
	return raw, err
}

// withDefaults adds to the answer of a user what was left out and has a default.
func withDefaults(question, answer json.RawMessage) json.RawMessage {
	var q struct {
		Schema struct {
			Properties map[string]struct {
				Default json.RawMessage `json:"default"`
			} `json:"properties"`
		} `json:"requestedSchema"`
	}
	var a struct {
		Action  string                     `json:"action"`
		Content map[string]json.RawMessage `json:"content,omitempty"`
	}
	if json.Unmarshal(question, &q) != nil || json.Unmarshal(answer, &a) != nil || a.Action != agent.ElicitAccept {
		return answer
	}
	changed := false
	for name, p := range q.Schema.Properties {
		if _, said := a.Content[name]; said || len(p.Default) == 0 {
			continue
		}
		if a.Content == nil {
			a.Content = map[string]json.RawMessage{}
		}
		a.Content[name], changed = p.Default, true
	}
	if out, err := json.Marshal(a); err == nil && changed {
		return out
	}
	return answer
}
