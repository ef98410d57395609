package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A client of protocol 2026-07-28 cannot be asked while its call runs. What a tool asks ends the
// call with a result that wants input; the client makes the call again with the answers, and the
// tool runs again, from its start. The questions that were answered before get the same answers at
// once; so a tool that asks should do so before it changes anything. What was said in earlier
// rounds is in the state that the client carries from one to the next, signed: the server keeps
// nothing.

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
	var now roundState
	own := r.round.answers
	if r.round.state != "" {
		now.Bound = boundTo(c.identity, r)
		if err := e.openState(r.round.state, &now); err != nil {
			return nil, err
		}
		own = map[string]json.RawMessage{}
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
		if !now.Own {
			own = now.Inputs
		}
	}
	if now.Round++; now.Round > codec.MaxRounds {
		return nil, agent.Errorf(agent.CodeResourceExhausted, "%s asked for input %d times", r.name, codec.MaxRounds)
	}
	r.meta.Inputs, r.meta.State = own, now.State
	r.round.answered = nameOf(now.Answers)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	q := &questions{backChannel: notices, caps: r.round.caps, answers: now.Answers, stop: stop}
	res, err := e.serveCall(ctx, c, r, q)
	open, refused := q.end()
	if err == nil && res.Pending != nil && len(open) == 0 {
		for _, question := range res.Pending.Requests {
			if lack := lacks(r.round.caps, question); lack != "" {
				err, refused = cannotAnswer(question.Kind, lack), lack
			}
		}
	}
	switch {
	case len(open) == 0 && refused != "" && errors.Is(err, agent.CodeUnavailable):
		return nil, &capabilityError{refused, agent.AsError(err)}
	case len(open) > 0: // whatever the callee made of the error
		now.Own, now.Inputs = false, own
	case err != nil || res.Pending == nil:
		return res, err
	default:
		open, now.Own, now.Inputs, now.State = res.Pending.Requests, true, nil, res.Pending.State
	}
	now.Asked = nil
	for id := range open {
		now.Asked = append(now.Asked, id)
	}
	now.Bound = boundTo(c.identity, r)
	state, err := e.sealState(now)
	if err != nil {
		return nil, err
	}
	return &agent.Result{Pending: &agent.Pending{Requests: open, State: state}}, nil
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
func boundTo(id Identity, r request) []byte {
	sum := sha256.New()
	for _, part := range []string{id.Agent, id.User, strconv.FormatBool(id.Trusted), string(r.op), r.name,
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

// questions is the back-channel of a call whose client is asked by its result.
type questions struct {
	*backChannel // tells the client
	caps         *sdk.ClientCapabilities
	answers      map[string]json.RawMessage
	stop         context.CancelCauseFunc

	mu   sync.Mutex
	over bool
	seen map[string]int // how often the same was asked
	open map[string]agent.Request

	refused string // the capability that the client lacks for a question
}

// Request implements [agent.BackChannel]. Without an answer it ends the call, which is made again
// when there is one.
func (q *questions) Request(_ context.Context, r agent.Request) (json.RawMessage, error) {
	if lack := lacks(q.caps, r); lack != "" {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.refused = lack
		return nil, cannotAnswer(r.Kind, lack)
	}
	// A question is known by what it asks: a call that runs again may ask in another order.
	sum := sha256.Sum256(append([]byte(r.Kind+" "), r.Params...))
	id := r.Kind + "-" + base64.RawURLEncoding.EncodeToString(sum[:9])
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return nil, agent.Errorf(agent.CodeUnavailable, "%s: the call is over, its caller can no longer be asked",
			r.Kind)
	}
	if q.seen == nil {
		q.seen, q.open = map[string]int{}, map[string]agent.Request{}
	}
	if q.seen[id]++; q.seen[id] > 1 {
		id += "-" + strconv.Itoa(q.seen[id])
	}
	if answer, ok := q.answers[id]; ok {
		return answer, nil
	}
	if len(q.open) >= maxQuestions {
		return nil, agent.Errorf(agent.CodeResourceExhausted, "more than %d questions at once", maxQuestions)
	}
	q.open[id] = r
	err := agent.Errorf(agent.CodeCanceled, "%s: %w", r.Kind, agent.ErrAnswersFollow)
	q.stop(err)
	return nil, err
}

// end takes no more questions, and gives those without an answer.
func (q *questions) end() (open map[string]agent.Request, refused string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	return q.open, q.refused
}

const samplingTools = "sampling.tools"

// lacks is the capability that a client would need to answer a question; empty when it has it.
func lacks(caps *sdk.ClientCapabilities, r agent.Request) string {
	if caps == nil {
		caps = &sdk.ClientCapabilities{}
	}
	switch {
	case r.Kind == agent.AskSample && caps.Sampling == nil:
		return "sampling"
	case r.Kind == agent.AskSample && caps.Sampling.Tools == nil && codec.SamplesWithTools(r.Params):
		return samplingTools
	case r.Kind == agent.AskElicit && caps.Elicitation == nil:
		return "elicitation"
	case r.Kind == agent.AskRoots && caps.RootsV2 == nil:
		return "roots"
	case r.Kind == agent.AskSample || r.Kind == agent.AskElicit || r.Kind == agent.AskRoots:
		return ""
	}
	return r.Kind // a question that MCP does not have
}

func cannotAnswer(kind, lack string) error {
	if lack == samplingTools {
		return agent.Errorf(agent.CodeUnavailable, "the client does not answer %q requests with tools", kind)
	}
	return agent.Errorf(agent.CodeUnavailable, "the client does not answer %q requests", kind)
}
