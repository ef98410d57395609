// Package held keeps the calls of protocol 2026-07-28 that have asked their client something: they
// run on while the client makes the request again with its answers.
package held

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp/internal/requeststate"
)

// Life is how long a call waits, since the last request about it.
const Life = 10 * time.Minute

// gatherTime is how long the first question waits for others that are asked at the same time.
const gatherTime = 5 * time.Millisecond

// Calls are the calls of protocol 2026-07-28 that have asked something. Each runs in a
// goroutine of its own, since the request that began it is answered before it ends.
type Calls struct {
	places *Places
	sealer *requeststate.Sealer

	mu      sync.Mutex
	byID    map[string]*Call
	byKey   map[string]*Call // those with an idempotency key, from their beginning
	shut    error            // why no further call may wait; nil: they may
	running sync.WaitGroup
}

// A Call runs across requests.
type Call struct {
	questions
	all   *Calls
	o     Options
	state requeststate.State // of the next run, should this one get lost

	finished chan struct{} // closed when the call has ended
	res      *agent.Result
	err      error

	id      string      // empty: it has asked nothing yet
	at      *place      // nil: see id
	expires *time.Timer // nil: see id

	turns struct {
		sync.Mutex
		list []*turn
	}
}

// New makes Calls without any, which take their places and seal their states as the others of the
// process do.
func New(places *Places, sealer *requeststate.Sealer) *Calls {
	return &Calls{places: places, sealer: sealer}
}

// Start begins a call and answers its first request. notices gets what the call tells until then.
func (s *Calls) Start(ctx context.Context, o Options, notices agent.BackChannel) (*agent.Result, error) {
	h := &Call{all: s, o: o, state: o.State, finished: make(chan struct{})}
	h.questions = questions{keep: h.keep, repeatable: o.Repeatable, caps: o.Caps, answers: o.State.Answers,
		asked: make(chan struct{}, 1), back: notices}
	if first := s.begin(h); first != h {
		return first.Serve(ctx, requeststate.State{}, nil, notices)
	}
	h.start(ctx)
	return h.Serve(ctx, o.State, nil, notices)
}

// A turn is what one request about a call was answered. A request that comes twice is answered
// alike.
type turn struct {
	done chan struct{}
	res  *agent.Result
	err  error
}

// Find returns a call that waits, or ended lately; nil if there is none.
func (s *Calls) Find(id string) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// begin notes a call that is about to start. It returns another that began with the same
// idempotency key and is still there.
func (s *Calls) begin(h *Call) *Call {
	if h.o.Call.Key == "" {
		return h
	}
	key := h.keyed()
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.byKey[key]; first != nil {
		return first
	}
	if s.byKey == nil {
		s.byKey = map[string]*Call{}
	}
	s.byKey[key] = h
	return h
}

func (h *Call) keyed() string { return string(h.state.Bound) + h.o.Call.Key }

// keep makes a call one that waits. The error says why it may not. It is called by one goroutine at
// a time.
func (h *Call) keep() error {
	if h.at != nil {
		return nil
	}
	s := h.all
	at := s.places.take(h.finished, func() { s.forget(h) })
	if at == nil {
		return agent.Errorf(agent.CodeUnavailable, "%d calls wait for answers in this process, the limit", Max)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut != nil {
		s.places.leave(at)
		return s.shut
	}
	if s.byID == nil {
		s.byID = map[string]*Call{}
	}
	h.id, h.at = rand.Text(), at
	s.byID[h.id] = h
	h.expires = time.AfterFunc(Life, func() {
		h.cancel(agent.Errorf(agent.CodeDeadlineExceeded, "%s: nobody answered its question within %s",
			h.o.Call.Target(), Life))
		s.forget(h)
	})
	return nil
}

func (s *Calls) forget(h *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(h)
}

func (s *Calls) forgetLocked(h *Call) {
	if h.at != nil {
		h.expires.Stop()
		s.places.leave(h.at)
		delete(s.byID, h.id)
	}
	if key := h.keyed(); s.byKey[key] == h {
		delete(s.byKey, key)
	}
}

// start runs the call, detached from the request that began it if it can ask anything.
func (h *Call) start(ctx context.Context) {
	if !CanBeAsked(h.caps) {
		h.ctx, h.cancel = context.WithCancelCause(ctx)
		h.o.Call.Back = &h.questions
		h.run()
		return
	}
	h.ctx, h.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	h.o.Call.Back = &h.questions
	h.all.running.Go(h.run)
}

func (h *Call) run() {
	defer close(h.finished)
	defer h.cancel(nil)
	if h.o.Session != nil {
		defer context.AfterFunc(h.o.Session, func() { h.cancel(context.Canceled) })()
	}
	ctx, call := h.ctx, h.o.Call
	if h.o.Timeout > 0 {
		var end func()
		ctx, call, end = calls.Bound(ctx, call, h.o.Timeout)
		defer end()
	}
	h.res, h.err = h.o.Run(ctx, call)
	s := h.all
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.id == "" && h.o.Call.Key != "" { // nobody can come back to it
		s.forgetLocked(h)
	}
}

// Serve answers a request about the call: the first, or one with a state of it.
func (h *Call) Serve(ctx context.Context, now requeststate.State, answers map[string]json.RawMessage,
	back agent.BackChannel) (*agent.Result, error) {
	n := now.Turn
	h.turns.Lock()
	if n < len(h.turns.list) {
		t := h.turns.list[n]
		h.turns.Unlock()
		select {
		case <-t.done:
			return t.res, t.err
		case <-ctx.Done():
			return nil, agent.AsError(ctx.Err())
		}
	}
	t := &turn{done: make(chan struct{})}
	h.turns.list = append(h.turns.list, t)
	if n > 0 {
		h.state.Answers = now.Answers // for a run anew, should this one get lost
	}
	h.turns.Unlock()
	defer close(t.done)
	h.touch()
	h.questions.answer(answers)
	h.listen(back)
	defer h.listen(nil)
	// A client that cancels its request, or goes away during it, cancels the call.
	defer context.AfterFunc(ctx, func() { h.cancel(context.Cause(ctx)) })()
	t.res, t.err = h.next(n)
	return t.res, t.err
}

// touch lets the time of a call that waits begin anew.
func (h *Call) touch() {
	h.all.mu.Lock()
	defer h.all.mu.Unlock()
	if h.expires != nil {
		h.expires.Reset(Life)
	}
}

// next is the call's result, or what it asks before.
func (h *Call) next(n int) (*agent.Result, error) {
	for gathered := false; ; {
		select {
		case <-h.finished:
			return h.result()
		default:
		}
		if open := h.unanswered(); len(open) > 0 && !h.runsAgain() {
			if !gathered { // a tool may ask more at once
				gathered = true
				select {
				case <-time.After(gatherTime):
				case <-h.finished:
				}
				continue
			}
			state := h.state
			state.Held, state.Turn, state.Round = h.id, n+1, h.state.Round+n
			state.Own = false
			return h.ask(state, open)
		}
		select {
		case <-h.asked:
		case <-h.finished:
		}
	}
}

// result is how the call ended. One that wants input, by its own result or because it is to run
// again, is no end for the client.
func (h *Call) result() (*agent.Result, error) {
	open, refused := h.end()
	err := h.err
	if err == nil && h.res.Pending != nil && len(open) == 0 {
		for _, question := range h.res.Pending.Requests {
			if lack := Lacks(h.caps, question); lack != "" {
				err, refused = CannotAnswer(question.Kind, lack), lack
			}
		}
	}
	state := h.state
	switch {
	case len(open) == 0 && refused != "" && errors.Is(err, agent.CodeUnavailable):
		return nil, &CapabilityError{refused, agent.AsError(err)}
	case len(open) > 0: // whatever the callee made of the error
		state.Own = false
	case err != nil || h.res.Pending == nil:
		return h.res, err
	default:
		open, state.Own, state.Inputs, state.State = h.res.Pending.Requests, true, nil, h.res.Pending.State
	}
	state.Held, state.Turn = "", 0
	return h.ask(state, open)
}

// ask is the result that asks the client.
func (h *Call) ask(state requeststate.State, open map[string]agent.Request) (*agent.Result, error) {
	state.Asked = slices.Collect(maps.Keys(open))
	sealed, err := h.all.sealer.Seal(state)
	if err != nil {
		h.cancel(err)
		return nil, err
	}
	return &agent.Result{Pending: &agent.Pending{Requests: open, State: sealed}}, nil
}

// end lets no further call wait, and says why. It returns those that do, or ended lately.
func (s *Calls) end(why error) []*Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = why
	return slices.Collect(maps.Values(s.byID))
}

// Drain cancels the calls that wait for an answer: nobody waits for people.
func (s *Calls) Drain(why error) {
	for _, h := range s.end(why) {
		if len(h.unanswered()) > 0 {
			h.cancel(why)
		}
	}
}

// Close cancels all calls and waits for them until ctx ends.
func (s *Calls) Close(ctx context.Context, why error) {
	for _, h := range s.end(why) {
		h.cancel(why)
		s.forget(h)
	}
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }() // ends with the last call
	select {
	case <-done:
	case <-ctx.Done():
	}
}
