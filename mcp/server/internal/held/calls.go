package server

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
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/requeststate"
)

const (
	heldLife     = 10 * time.Minute // since the last request about a call that waits
	maxQuestions = 64               // open at once, of one call
	// gatherTime is how long the first question waits for others that are asked at the same time.
	gatherTime = 5 * time.Millisecond
)

// heldCalls are the calls of protocol 2026-07-28 that have asked something. Each runs in a
// goroutine of its own, since the request that began it is answered before it ends. The zero value
// is empty. The places are those of the [Process].
type heldCalls struct {
	mu      sync.Mutex
	byID    map[string]*held
	byKey   map[string]*held // those with an idempotency key, from their beginning
	shut    bool
	running sync.WaitGroup
}

// A held call runs across requests.
type held struct {
	questions
	e       *endpoint
	session *session // of the request that began it
	call    *agent.Call
	timeout time.Duration      // that the client set
	state   requeststate.State // with which it began
	request request

	ctx    context.Context
	cancel context.CancelCauseFunc

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

// A turn is what one request about a call was answered. A request that comes twice is answered
// alike.
type turn struct {
	done chan struct{}
	res  *agent.Result
	err  error
}

// find returns a call that waits, or ended lately; nil if there is none.
func (s *heldCalls) find(id string) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// begin notes a call that is about to start. It returns another that began with the same
// idempotency key and is still there.
func (s *heldCalls) begin(h *held) *held {
	if h.call.Key == "" {
		return h
	}
	key := h.keyed()
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.byKey[key]; first != nil {
		return first
	}
	if s.byKey == nil {
		s.byKey = map[string]*held{}
	}
	s.byKey[key] = h
	return h
}

func (h *held) keyed() string { return string(h.state.Bound) + h.call.Key }

// keep makes a call one that waits. The error says why it may not. It is called by one goroutine at
// a time.
func (h *held) keep() error {
	if h.at != nil {
		return nil
	}
	s, process := &h.e.held, h.e.o.Process
	at := process.take(h.finished, func() { s.forget(h) })
	if at == nil {
		return agent.Errorf(agent.CodeUnavailable, "%d calls wait for answers in this process, the limit", maxHeld)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		process.leave(at)
		return shuttingDown()
	}
	if s.byID == nil {
		s.byID = map[string]*held{}
	}
	h.id, h.at = rand.Text(), at
	s.byID[h.id] = h
	h.expires = time.AfterFunc(heldLife, func() {
		h.cancel(agent.Errorf(agent.CodeDeadlineExceeded, "%s: nobody answered its question within %s", h.call.Target(),
			heldLife))
		s.forget(h)
	})
	return nil
}

func (s *heldCalls) forget(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(h)
}

func (s *heldCalls) forgetLocked(h *held) {
	if h.at != nil {
		h.expires.Stop()
		h.e.o.Process.leave(h.at)
		delete(s.byID, h.id)
	}
	if key := h.keyed(); s.byKey[key] == h {
		delete(s.byKey, key)
	}
}

// start runs the call, detached from the request that began it if it can ask anything.
func (h *held) start(ctx context.Context) {
	if !canBeAsked(h.caps) {
		h.ctx, h.cancel = context.WithCancelCause(ctx)
		h.call.Back = &h.questions
		h.run()
		return
	}
	h.ctx, h.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	h.call.Back = &h.questions
	h.e.held.running.Go(h.run)
}

func (h *held) run() {
	defer close(h.finished)
	defer h.cancel(nil)
	if h.session.transport == mcp.Stdio { // its session outlives requests
		defer context.AfterFunc(h.session.ctx, func() { h.cancel(context.Canceled) })()
	}
	ctx, call := h.ctx, h.call
	if h.timeout > 0 {
		var end func()
		ctx, call, end = calls.Bound(ctx, call, h.timeout)
		defer end()
	}
	if h.res, h.err = h.e.call(ctx, call); h.err == nil {
		h.res = h.e.export(h.session, h.call, h.res)
	}
	s := &h.e.held
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.id == "" && h.call.Key != "" { // nobody can come back to it
		s.forgetLocked(h)
	}
}

// serve answers a request about the call: the first, or one with a state of it.
func (h *held) serve(ctx context.Context, now requeststate.State, answers map[string]json.RawMessage,
	back *backChannel) (*agent.Result, error) {
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
func (h *held) touch() {
	h.e.held.mu.Lock()
	defer h.e.held.mu.Unlock()
	if h.expires != nil {
		h.expires.Reset(heldLife)
	}
}

// next is the call's result, or what it asks before.
func (h *held) next(n int) (*agent.Result, error) {
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
func (h *held) result() (*agent.Result, error) {
	open, refused := h.end()
	err := h.err
	if err == nil && h.res.Pending != nil && len(open) == 0 {
		for _, question := range h.res.Pending.Requests {
			if lack := lacks(h.caps, question); lack != "" {
				err, refused = cannotAnswer(question.Kind, lack), lack
			}
		}
	}
	state := h.state
	switch {
	case len(open) == 0 && refused != "" && errors.Is(err, agent.CodeUnavailable):
		return nil, &capabilityError{refused, agent.AsError(err)}
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
func (h *held) ask(state requeststate.State, open map[string]agent.Request) (*agent.Result, error) {
	state.Asked = slices.Collect(maps.Keys(open))
	sealed, err := h.e.o.Process.sealer.Seal(state)
	if err != nil {
		h.cancel(err)
		return nil, err
	}
	return &agent.Result{Pending: &agent.Pending{Requests: open, State: sealed}}, nil
}

// end lets no further call wait. It returns those that do, or ended lately.
func (s *heldCalls) end() []*held {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	return slices.Collect(maps.Values(s.byID))
}

// drain cancels the calls that wait for an answer: nobody waits for people.
func (s *heldCalls) drain() {
	for _, h := range s.end() {
		if len(h.unanswered()) > 0 {
			h.cancel(shuttingDown())
		}
	}
}

// close cancels all calls and waits for them until ctx ends.
func (s *heldCalls) close(ctx context.Context) {
	for _, h := range s.end() {
		h.cancel(shuttingDown())
		s.forget(h)
	}
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }() // ends with the last call
	select {
	case <-done:
	case <-ctx.Done():
	}
}
