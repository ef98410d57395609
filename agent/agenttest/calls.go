package agenttest

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
)

// Call is a call that was made in a [System].
type Call struct {
	*agent.Call
	// Done: it has been answered, with Result or Err.
	Done   bool
	Result *agent.Result
	Err    error
}

// recorder keeps what happens in the order in which it began.
type recorder struct {
	mu    sync.Mutex
	steps []*step
	now   int // counts the beginnings and ends
	by    map[callKey]*step
}

// A step is one thing that happened: a call, an event that was published, or a question.
type step struct {
	call     *Call          // or
	event    *agent.Event   // or
	question *agent.Request // with its answer in result and err

	result json.RawMessage
	err    error

	above      *step // whose agent did it; nil: the test, or a Runner
	begin, end int   // end 0: it is not over
}

// A callKey names a call: the deliveries of an event share their ID.
type callKey struct{ id, agent string }

// begin keeps a step that begins in ctx.
func (r *recorder) begin(ctx context.Context, s *step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := agent.CallFrom(ctx); c != nil {
		s.above = r.by[callKey{c.ID, c.Agent}]
	}
	r.add(s)
}

func (r *recorder) add(s *step) {
	r.now++
	s.begin = r.now
	r.steps = append(r.steps, s)
}

// finish notes the end of a step, which set writes down.
func (r *recorder) finish(s *step, set func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now++
	s.end = r.now
	set()
}

// record makes the call through next and keeps it.
func (r *recorder) record(ctx context.Context, c *agent.Call, next agent.Caller) (*agent.Result, error) {
	rec := &step{call: &Call{Call: c}}
	r.begin(ctx, rec)
	r.mu.Lock()
	if r.by == nil {
		r.by = map[callKey]*step{}
	}
	r.by[callKey{c.ID, c.Agent}] = rec
	if c.Op == agent.OpEvent {
		rec.above = r.published(c.ID)
	}
	r.mu.Unlock()
	own := *c
	if c.Back != nil {
		own.Back = &recordedBack{c.Back, r, rec}
	}
	res, err := next.Call(ctx, &own)
	r.finish(rec, func() { rec.call.Done, rec.call.Result, rec.call.Err = true, res, err })
	return res, err
}

// published finds an event's step.
func (r *recorder) published(id string) *step {
	for _, s := range slices.Backward(r.steps) {
		if s.event != nil && s.event.ID == id {
			return s
		}
	}
	return nil
}

// publish keeps an event that is being published.
func (r *recorder) publish(ctx context.Context, e agent.Event) { r.begin(ctx, &step{event: &e}) }

// recordedBack keeps the questions of a call, and passes them on. What a call asks goes up through
// all calls above it: it is the question of the lowest.
type recordedBack struct {
	agent.BackChannel
	r  *recorder
	of *step
}

// Request implements [agent.BackChannel].
func (b *recordedBack) Request(ctx context.Context, q agent.Request) (json.RawMessage, error) {
	s := b.ask(q)
	if s == nil {
		return b.BackChannel.Request(ctx, q)
	}
	res, err := b.BackChannel.Request(ctx, q)
	b.r.finish(s, func() { s.result, s.err = res, err })
	return res, err
}

// ask keeps a question, unless a call below has asked it.
func (b *recordedBack) ask(q agent.Request) *step {
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	for _, s := range b.r.steps {
		if s.question != nil && s.end == 0 && s.question.Kind == q.Kind && sameJSON(s.question.Params, q.Params) &&
			s.below(b.of) {
			return nil
		}
	}
	s := &step{question: &q, above: b.of}
	b.r.add(s)
	return s
}

// below reports whether a step is part of a call, and not its own question.
func (s *step) below(of *step) bool {
	for s = s.above; s != nil && s != of; {
		if s = s.above; s == of {
			return true
		}
	}
	return false
}

// list returns the calls of some targets, or of all.
func (r *recorder) list(target []string) (out []Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.steps {
		if c := s.call; c != nil && (len(target) == 0 || slices.Contains(target, c.Target()) ||
			slices.Contains(target, c.Agent)) {
			out = append(out, *c)
		}
	}
	return out
}
