package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A client of protocol 2026-07-28 cannot be asked while its request waits. What a tool asks ends
// the request with a result that wants input; the client makes the call again with the answers. The
// running call waits for that (held.go). Where it is gone, because the process ended or too many
// wait, a tool that is safe to repeat runs again from its start, and gets the answers so far at
// once. They are in the state that the client carries from one round to the next, signed.

const (
	roundsLife    = time.Hour // of a state: users take their time
	maxRoundState = 256 << 10 // bytes of a state
	maxQuestions  = 64        // open at once, of one call
)

// roundState is what the client carries, unread and unchanged.
type roundState struct {
	Bound   []byte                     `json:"b"` // to what it belongs: identity, what is called, its input
	Expires int64                      `json:"x"` // seconds since 1970
	Round   int                        `json:"r"`
	Asked   []string                   `json:"q,omitempty"` // questions that are open
	Answers map[string]json.RawMessage `json:"a,omitempty"` // to those that are not
	// Held names the running call that waits, and Turn says which of its answers is the next.
	Held string `json:"h,omitempty"`
	Turn int    `json:"n,omitempty"`
	// Own is set when the callee itself gave a result that wants input, and gets State and the
	// answers. Else Inputs and State are those that it had when it asked.
	Own    bool                       `json:"o,omitempty"`
	Inputs map[string]json.RawMessage `json:"i,omitempty"`
	State  string                     `json:"s,omitempty"`
}

// rounds makes the call, and again with the client's answers as long as it asks for input.
func (e *endpoint) rounds(ctx context.Context, call *agent.Call, back agent.BackChannel) (*agent.Result, error) {
	for range codec.MaxRounds {
		res, err := e.call(ctx, call)
		if err != nil || res.Pending == nil {
			return res, err
		}
		next := *call
		if next.Inputs, err = codec.CollectInputs(ctx, back, res.Pending); err != nil {
			return nil, agent.AsError(err)
		}
		next.State = res.Pending.State
		call = &next
	}
	return nil, agent.Errorf(agent.CodeResourceExhausted, "%s asked for input %d times", call.Target(), codec.MaxRounds)
}

// serveRounds is serveCall for a client that is asked by results.
func (e *endpoint) serveRounds(ctx context.Context, c *session, r request, notices *backChannel) (*agent.Result,
	error) {
	now, err := e.readRound(c, r)
	if err != nil {
		return nil, err
	}
	if err := e.enter(c); err != nil {
		return nil, err
	}
	defer e.gate.Leave()
	defer c.gate.Leave()
	if now.Held != "" {
		if h := e.held.find(now.Held); h != nil {
			return h.serve(ctx, now, r.round.answers, notices)
		}
		if !e.repeatable(c, r) {
			return nil, agent.Errorf(agent.CodeOutcomeUnknown, "%s waited for the answer to a question and is gone: "+
				"its process has ended, or %s have passed; it is not safe to repeat, so it does not run again", r.name,
				heldLife)
		}
	}
	r.meta.Inputs, r.meta.State = now.Inputs, now.State
	r.round.answered = nameOf(now.Answers)
	call, err := e.newCall(c, r)
	if err != nil {
		return nil, err
	}
	h := &held{e: e, session: c, call: call, timeout: r.meta.Timeout, state: now, request: r,
		finished: make(chan struct{})}
	h.questions = questions{held: h, caps: r.round.caps, answers: now.Answers, asked: make(chan struct{}, 1),
		back: notices}
	if first := e.held.begin(h); first != h {
		return first.serve(ctx, roundState{}, nil, notices)
	}
	h.start(ctx)
	return h.serve(ctx, now, nil, notices)
}

// readRound reads what the client carried, with its answers in it.
func (e *endpoint) readRound(c *session, r request) (roundState, error) {
	now := roundState{Bound: e.boundTo(c.identity, r), Inputs: r.round.answers}
	if r.round.state != "" {
		if err := e.openState(r.round.state, &now); err != nil {
			return now, err
		}
		own := map[string]json.RawMessage{}
		for id, answer := range r.round.answers {
			if !now.Own && slices.Contains(now.Asked, id) {
				if now.Answers == nil {
					now.Answers = map[string]json.RawMessage{}
				}
				now.Answers[id] = answer
			} else {
				own[id] = answer
			}
		}
		if now.Own {
			now.Inputs = own
		}
	}
	if now.Round++; now.Round > codec.MaxRounds {
		return now, agent.Errorf(agent.CodeResourceExhausted, "%s asked for input %d times", r.name, codec.MaxRounds)
	}
	return now, nil
}

// repeatable reports whether a call may run again from its start: reading may, and a tool that says
// so.
func (e *endpoint) repeatable(c *session, r request) bool {
	if r.op != agent.OpTool {
		return true
	}
	to, err := e.resolve(c, r.op, r.name)
	return err == nil && e.catalog.Load().Repeatable(to)
}

// nameOf is a short text that differs when answers do; empty without any.
func nameOf(answers map[string]json.RawMessage) string {
	if len(answers) == 0 {
		return ""
	}
	sum := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(answers)) {
		_, _ = fmt.Fprintf(sum, "%d:%s%d:%s", len(id), id, len(answers[id]), answers[id]) // never fails
	}
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12])
}

// boundTo is the call that a state belongs to: nobody else's, and no other.
func (e *endpoint) boundTo(id Identity, r request) []byte {
	sum := sha256.New()
	for _, part := range []string{e.agent, id.Agent, id.User, strconv.FormatBool(id.Trusted), string(r.op), r.name,
		string(r.input)} {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part) // never fails
	}
	return sum.Sum(nil)
}

func (e *endpoint) sign(body string) string {
	mac := hmac.New(sha256.New, e.key)
	mac.Write([]byte(body))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sealState makes what the client carries.
func (e *endpoint) sealState(s roundState) (string, error) {
	s.Expires = time.Now().Add(roundsLife).Unix()
	raw, err := json.Marshal(s)
	if err != nil {
		return "", agent.Errorf(agent.CodeInternal, "encode the state of a call: %w", err)
	}
	body := base64.RawURLEncoding.EncodeToString(raw)
	if len(body) > maxRoundState {
		return "", agent.Errorf(agent.CodeResourceExhausted, "the answers so far have %d bytes, over the limit of %d",
			len(body), maxRoundState)
	}
	return body + "." + e.sign(body), nil
}

// openState reads a state for the call that s is bound to.
func (e *endpoint) openState(sealed string, s *roundState) error {
	body, mac, ok := strings.Cut(sealed, ".")
	if !ok || len(body) > maxRoundState || !hmac.Equal([]byte(mac), []byte(e.sign(body))) {
		return &stateError{"it was not made by this server, or has been changed"}
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	var in roundState
	if err == nil {
		err = json.Unmarshal(raw, &in)
	}
	switch {
	case err != nil:
		return &stateError{err.Error()}
	case !hmac.Equal(in.Bound, s.Bound):
		return &stateError{"it belongs to another call"}
	case time.Now().Unix() > in.Expires:
		return &stateError{"it has expired: make the call anew"}
	}
	*s = in
	return nil
}

// newStateKey is for the states of this process.
func newStateKey() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return key
}
