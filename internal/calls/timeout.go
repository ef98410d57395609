package calls

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
)

// MaxQuestion is how long a caller may take to answer a question of a call. The call's own timeout
// stands still meanwhile: people think longer than tools work.
const MaxQuestion = 10 * time.Minute

// Bound bounds a call by a timeout that stands still while the caller is asked something, and ends
// with ctx in any case. What is returned takes the place of ctx and call. The function ends it, and
// must be called.
func Bound(ctx context.Context, call *agent.Call, timeout time.Duration) (context.Context, *agent.Call, func()) {
	ends := time.Now().Add(timeout)
	if call.Back == nil {
		b := &bound{parent: ctx, ends: ends}
		return b, call, b.end
	}
	own := &struct {
		bound
		call agent.Call
	}{bound{parent: ctx, ends: ends, back: call.Back}, *call}
	own.call.Back = &own.bound
	return &own.bound, &own.call, own.end
}

// bound is the context of a call and the back-channel that it asks through. The contexts of the
// standard library have a deadline that never moves. Most calls are over before anybody waits for
// the end of their context: it has a timer and its place below the parent only once somebody does.
type bound struct {
	parent context.Context
	back   agent.BackChannel       // nil: there is nobody to ask
	waited atomic.Pointer[waiting] // nil: nobody waits

	mu   sync.Mutex
	err  error         // why it ended, as far as that is known
	ends time.Time     // while no question is open
	left time.Duration // while some are
	open int           // questions
}

// waiting is what ends those who wait. What is made of a bound hangs on its context, which is one
// of the standard library, at no cost.
type waiting struct {
	context.Context
	cancel context.CancelFunc
	expire func()      // ends it with the error of the bound
	timer  *time.Timer // nil until time runs
}

// Deadline is when the timeout ends if nothing more is asked, and what is asked now is answered at
// the last moment.
func (b *bound) Deadline() (time.Time, bool) {
	b.mu.Lock()
	ends := b.ends
	if b.open > 0 {
		ends = time.Now().Add(MaxQuestion + b.left)
	}
	b.mu.Unlock()
	if above, ok := b.parent.Deadline(); ok && above.Before(ends) {
		return above, true
	}
	return ends, true
}

// Done implements [context.Context].
func (b *bound) Done() <-chan struct{} {
	if w := b.waited.Load(); w != nil {
		return w.Done()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.waited.Load(); w != nil {
		return w.Done()
	}
	w := &waiting{}
	if b.settle(); b.err != nil {
		w.Context, w.cancel = context.WithCancel(ended{b.parent, b.err})
	} else {
		w.Context, w.cancel = context.WithCancel(ending{b, w})
	}
	b.waited.Store(w)
	b.run()
	return w.Done()
}

// Value implements [context.Context].
func (b *bound) Value(key any) any {
	if w := b.waited.Load(); w != nil {
		return w.Value(key)
	}
	return b.parent.Value(key)
}

// Err implements [context.Context].
func (b *bound) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.waited.Load(); w != nil {
		return w.Err()
	}
	b.settle()
	return b.err
}

// settle finds out whether it has ended, where nobody waits.
func (b *bound) settle() {
	if b.err == nil {
		b.err = b.parent.Err()
	}
	if b.err == nil && b.open == 0 && !time.Now().Before(b.ends) {
		b.err = context.DeadlineExceeded
	}
}

// run lets the time run for those who wait, unless a question is open.
func (b *bound) run() {
	w := b.waited.Load()
	if w == nil || b.err != nil || b.open > 0 {
		return
	}
	if left := time.Until(b.ends); w.timer == nil {
		w.timer = time.AfterFunc(left, b.timeOut)
	} else {
		w.timer.Reset(left)
	}
}

// timeOut is called by the timer. A question that was asked in the last moment stopped it too late.
func (b *bound) timeOut() {
	b.mu.Lock()
	if b.err == nil && b.open == 0 {
		b.err = context.DeadlineExceeded
	}
	over := b.err != nil
	b.mu.Unlock()
	if over {
		b.waited.Load().expire()
	}
}

// end is for whoever made it.
func (b *bound) end() {
	b.mu.Lock()
	if b.err == nil {
		b.err = context.Canceled
	}
	w := b.waited.Load()
	if w != nil && w.timer != nil {
		w.timer.Stop()
	}
	b.mu.Unlock()
	if w != nil {
		w.cancel()
	}
}

// Notify implements [agent.BackChannel].
func (b *bound) Notify(ctx context.Context, n agent.Notice) { b.back.Notify(ctx, n) }

// Request implements [agent.BackChannel].
func (b *bound) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	b.hold()
	defer b.goOn()
	// No WithTimeout: it would rely on the deadline of b, which moves.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer time.AfterFunc(MaxQuestion, func() {
		cancel(agent.Errorf(agent.CodeDeadlineExceeded, "%s: no answer within %s", r.Kind, MaxQuestion))
	}).Stop()
	return b.back.Request(ctx, r)
}

// hold stops the time at the first open question.
func (b *bound) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle() // time that is up does not come back
	if b.open++; b.open > 1 || b.err != nil {
		return
	}
	b.left = time.Until(b.ends)
	if w := b.waited.Load(); w != nil && w.timer != nil {
		w.timer.Stop()
	}
}

// goOn lets the time run again after the last one.
func (b *bound) goOn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open--; b.open == 0 {
		b.ends = time.Now().Add(b.left)
		b.run()
	}
}

// ending is above the context of those who wait. Package context gives it the function that ends
// them, and so with an error of its own, which no other context of the standard library takes.
type ending struct {
	*bound
	w *waiting
}

// AfterFunc is what package context uses to end what is made of a context, without a goroutine.
func (e ending) AfterFunc(f func()) (stop func() bool) {
	e.w.expire = f
	return context.AfterFunc(e.parent, f)
}

// Done implements [context.Context]. Only package context asks for it, and uses AfterFunc.
func (e ending) Done() <-chan struct{} { return never }

// Value implements [context.Context].
func (e ending) Value(key any) any { return e.parent.Value(key) }

// Err implements [context.Context].
func (e ending) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = e.parent.Err()
	}
	return e.err
}

var never = make(chan struct{})

// ended is above the context of those who begin to wait too late.
type ended struct {
	context.Context
	err error
}

// Done implements [context.Context].
func (ended) Done() <-chan struct{} {
	closed := make(chan struct{})
	close(closed)
	return closed
}

// Err implements [context.Context].
func (e ended) Err() error { return e.err }
