// Package callback places the calls back of foreign programs in the tree of calls. Such a program
// is told nothing of its place there, and would not be believed. But what it serves is known, so
// that a circle through it ends as one of our own agents does: at the limit of depth, and with the
// deadline of the call that it began with.
package callback

import (
	"context"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
)

const (
	// maxGivenUp is how many calls that were given up are remembered of a program.
	maxGivenUp = 256
	// traceless is how long a call that was given up counts as the one that a call back belongs to
	// which names none: what ends with it makes its next call at once.
	traceless = 5 * time.Second
	// remembered is how long it counts for a call back that names it.
	remembered = 10 * time.Minute
)

// Served are the calls that one instance of a foreign program serves, and those that were given up
// lately, on which it may still work. The zero Served is empty. It is safe for concurrent use.
type Served struct {
	mu      sync.Mutex
	open    map[*served]struct{}
	givenUp []givenUp // the latest last
}

// served is a call that the program serves.
type served struct {
	ctx   context.Context
	call  *agent.Call
	below []*belonging // the calls back that may belong to it
}

// A belonging is a call back with the calls that it may belong to.
type belonging struct {
	open     int  // of these
	answered bool // one of these was
	cut      func(why agent.Code)
}

// above notes the end of one of them. A call back may outlive the answer to the call that it
// belongs to, as what a program does on its own. It ends when all that it may belong to were given
// up. It is called with the mutex held.
func (b *belonging) above(left bool, why agent.Code) {
	b.open--
	b.answered = b.answered || !left
	if b.open == 0 && !b.answered {
		b.cut(why)
	}
}

// givenUp is a call that nobody waits for any more, and that the program has not answered.
type givenUp struct {
	span   span
	target string
	why    agent.Code
	at     time.Time
}

// Call makes a call to the program with next, and knows of it meanwhile.
func (s *Served) Call(ctx context.Context, c *agent.Call, next agent.Caller) (*agent.Result, error) {
	one := &served{ctx: ctx, call: c}
	s.mu.Lock()
	if s.open == nil {
		s.open = map[*served]struct{}{}
	}
	s.open[one] = struct{}{}
	s.mu.Unlock()
	left := true // by a panic, if it stays
	defer func() { s.end(one, left) }()
	res, err := next.Call(ctx, c)
	left = err != nil && ctx.Err() != nil
	return res, err
}

// end takes a call out. left: it was not answered.
func (s *Served) end(one *served, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, one)
	why := agent.CodeCanceled
	if left {
		why = agent.CodeOf(one.ctx.Err())
		if len(s.givenUp) >= maxGivenUp {
			s.givenUp = append(s.givenUp[:0], s.givenUp[1:]...)
		}
		s.givenUp = append(s.givenUp, givenUp{spanOf(one.call), one.call.Target(), why, time.Now()})
	}
	for _, b := range one.below {
		b.above(left, why)
	}
}

// Forget is for when the program has ended: another one knows nothing of its calls.
func (s *Served) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.givenUp = nil
}

// A span is the part of a traceparent that names a trace and a span in it.
type span struct{ trace, id string }

// spanOf reads the span that a call names, which is that of its caller; empty without one.
func spanOf(c *agent.Call) span {
	const version, trace, id = 3, 32, 16
	p := c.Meta["traceparent"]
	if len(p) < version+trace+1+id {
		return span{}
	}
	return span{p[version : version+trace], p[version+trace+1 : version+trace+1+id]}
}
