package held

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// maxQuestions is how many are open at once, of one call.
const maxQuestions = 64

// questions is the back-channel of a call whose client is asked by results.
type questions struct {
	ctx        context.Context // of the call
	cancel     context.CancelCauseFunc
	keep       func() error // makes the call one that waits; the error says why it may not
	repeatable func() bool  // the call may run again from its start
	caps       *sdk.ClientCapabilities
	answers    map[string]json.RawMessage // to questions of an earlier run
	asked      chan struct{}              // gets one when a question was asked

	mu      sync.Mutex
	back    agent.BackChannel // of the request that waits; nil: none does
	over    bool
	seen    map[string]int // how often the same was asked
	open    map[string]agent.Request
	waiting map[string]chan json.RawMessage
	refused string // the capability that the client lacks for a question
	again   bool   // the call was canceled, and runs again with the answers
}

// Notify implements [agent.BackChannel]. Between two rounds nobody is there to listen.
func (q *questions) Notify(ctx context.Context, n agent.Notice) {
	q.mu.Lock()
	back := q.back
	q.mu.Unlock()
	if back != nil {
		back.Notify(ctx, n)
	}
}

// Request implements [agent.BackChannel].
func (q *questions) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	wait, answer, err := q.ask(r)
	if wait == nil {
		return answer, err
	}
	select {
	case answer := <-wait:
		return answer, nil
	case <-ctx.Done():
		q.withdraw(wait)
		return nil, agent.AsError(context.Cause(ctx))
	case <-q.ctx.Done():
		return nil, agent.AsError(context.Cause(q.ctx))
	}
}

// ask notes a question. wait gets its answer; without it the answer is known, or the question is
// refused.
func (q *questions) ask(r agent.Request) (wait chan json.RawMessage, answer json.RawMessage, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if lack := Lacks(q.caps, r); lack != "" {
		q.refused = lack
		return nil, nil, CannotAnswer(r.Kind, lack)
	}
	if q.over {
		return nil, nil, agent.Errorf(agent.CodeUnavailable,
			"%s: the call is over, its caller can no longer be asked", r.Kind)
	}
	if q.seen == nil {
		q.seen, q.open = map[string]int{}, map[string]agent.Request{}
		q.waiting = map[string]chan json.RawMessage{}
	}
	// A question is known by what it asks: a call that runs again may ask in another order.
	sum := sha256.Sum256(append([]byte(r.Kind+" "), codec.WithoutElicitationID(r)...))
	id := r.Kind + "-" + base64.RawURLEncoding.EncodeToString(sum[:9])
	if q.seen[id]++; q.seen[id] > 1 {
		id += "-" + strconv.Itoa(q.seen[id])
	}
	if answer, ok := q.answers[id]; ok {
		return nil, answer, nil
	}
	if len(q.open) >= maxQuestions {
		return nil, nil, agent.Errorf(agent.CodeResourceExhausted, "more than %d questions at once", maxQuestions)
	}
	switch full := q.keep(); {
	case full == nil:
		wait = make(chan json.RawMessage, 1)
		q.waiting[id] = wait
	case q.repeatable():
		q.again = true
		err = agent.Errorf(agent.CodeCanceled, "%s: %w", r.Kind, agent.ErrAnswersFollow)
		q.cancel(err)
	default:
		return nil, nil, fmt.Errorf("%s: %w", r.Kind, full)
	}
	q.open[id] = r
	select {
	case q.asked <- struct{}{}:
	default: // one is there
	}
	return wait, nil, err
}

// withdraw takes a question back whose answer nobody waits for any more: whoever asked it has
// ended.
func (q *questions) withdraw(wait chan json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, w := range q.waiting {
		if w == wait {
			delete(q.waiting, id)
			delete(q.open, id)
		}
	}
}

// answer gives the client's answers to those who wait for them.
func (q *questions) answer(answers map[string]json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, answer := range answers {
		if wait := q.waiting[id]; wait != nil {
			wait <- answer
			delete(q.waiting, id)
			delete(q.open, id)
		}
	}
}

// runsAgain reports whether the call ends, to run again with the answers.
func (q *questions) runsAgain() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.again
}

// listen makes back what notices go to; nil: nothing.
func (q *questions) listen(back agent.BackChannel) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.back = back
}

// unanswered are the questions that are open.
func (q *questions) unanswered() map[string]agent.Request {
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.open)
}

// end takes no more questions. It returns those without an answer if the call is to run again for
// them, and what the client lacks for one.
func (q *questions) end() (again map[string]agent.Request, refused string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	if q.again {
		again = q.open
	}
	return again, q.refused
}
