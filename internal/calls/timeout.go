package calls

import (
	"context"
	"encoding/json"
	"sync"
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
	if call.Back == nil {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		return ctx, call, cancel
	}
	b := &bound{parent: ctx, back: call.Back, done: make(chan struct{}), ends: time.Now().Add(timeout)}
	b.mu.Lock() // either may end b before both are set
	b.timer = time.AfterFunc(timeout, func() { b.end(context.DeadlineExceeded) })
	b.unlink = context.AfterFunc(ctx, func() { b.end(ctx.Err()) })
	b.mu.Unlock()
	own := *call
	own.Back = b
	// What is made of the context below hangs on one of the standard library, at no cost.
	below, cancel := context.WithCancel(b)
	return below, &own, func() {
		cancel()
		b.end(context.Canceled)
	}
}

// bound is the context of a call and the back-channel that it asks through. The contexts of the
// standard library have a deadline that never moves.
type bound struct {
	parent context.Context
	back   agent.BackChannel
	unlink func() bool
	timer  *time.Timer
	done   chan struct{}

	mu    sync.Mutex
	err   error
	ends  time.Time     // while no question is open
	left  time.Duration // while some are
	open  int           // questions
	after map[*func()]struct{}
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
func (b *bound) Done() <-chan struct{} { return b.done }

// Value implements [context.Context].
func (b *bound) Value(key any) any { return b.parent.Value(key) }

// Err implements [context.Context].
func (b *bound) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// AfterFunc is what package context uses to end what is made of a context, without a goroutine.
func (b *bound) AfterFunc(f func()) (stop func() bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		go f() // as context.AfterFunc does
		return func() bool { return false }
	}
	if b.after == nil {
		b.after = map[*func()]struct{}{}
	}
	key := &f
	b.after[key] = struct{}{}
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		_, waits := b.after[key]
		delete(b.after, key)
		return waits
	}
}

func (b *bound) end(err error) {
	b.mu.Lock()
	if b.err != nil {
		b.mu.Unlock()
		return
	}
	b.err = err
	after := b.after
	b.after = nil
	close(b.done)
	b.mu.Unlock()
	b.timer.Stop()
	b.unlink()
	for f := range after {
		(*f)()
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
	if b.open++; b.open == 1 && b.timer.Stop() {
		b.left = time.Until(b.ends)
	}
}

// goOn lets the time run again after the last one.
func (b *bound) goOn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open--; b.open > 0 || b.err != nil {
		return
	}
	b.ends = time.Now().Add(b.left)
	b.timer.Reset(b.left)
}
