package pattern

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
)

// A BDI is the loop of an agent with beliefs, desires and intentions. It believes something about
// the world (B), deliberates what it should do about that, and carries the intention out step by
// step. What it believes changes at any time, by events and calls; an intention that its beliefs do
// not support any more is dropped, in the middle of a step too.
//
// An agent has one as a field, gives its Run to the runtime as its own, and calls Believe in its
// handlers. Safe for concurrent use.
type BDI[B any] struct {
	deliberate func(B) *Intention[B]

	mu      sync.Mutex
	beliefs B
	changes chan struct{} // closed when the beliefs change
	doing   string
}

// An Intention is what an agent has decided to do.
type Intention[B any] struct {
	Name  string
	Steps []IntentionStep[B]
	// Holds says whether the beliefs still support it; nil: they do until it is carried out.
	Holds func(B) bool
	// Failed, if not nil, notes in the beliefs that a step failed.
	Failed func(b *B, step string, err error)
}

// An IntentionStep is one act. Its context ends when the intention is dropped, with [ErrDropped] as
// its cause. What it finds out it tells with [BDI.Believe].
type IntentionStep[B any] struct {
	Name string
	Do   func(ctx context.Context, b B) error
}

// ErrDropped is why the context of a step ends whose intention is dropped.
var ErrDropped = errors.New("the beliefs do not support the intention any more")

// NewBDI returns a loop that has not begun. deliberate chooses from the beliefs what to do; nil:
// nothing now. It is called when the last intention is over and the beliefs have changed since it
// was chosen.
//
// Copies of B are handed out: what it refers to, maps and slices, is not to be changed but
// replaced.
func NewBDI[B any](beliefs B, deliberate func(B) *Intention[B]) *BDI[B] {
	return &BDI[B]{deliberate: deliberate, beliefs: beliefs, changes: make(chan struct{})}
}

// Perceive is the subscription of an agent whose beliefs an event changes.
func Perceive[B, E any](b *BDI[B], topic string, update func(*B, E)) agent.Subscription {
	return agent.On(topic, func(_ context.Context, e E) error {
		b.Believe(func(beliefs *B) { update(beliefs, e) })
		return nil
	})
}

// Believe changes the beliefs. update must be quick.
func (b *BDI[B]) Believe(update func(*B)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	update(&b.beliefs)
	close(b.changes)
	b.changes = make(chan struct{})
}

// Beliefs are what is believed now.
func (b *BDI[B]) Beliefs() B {
	now, _ := b.look()
	return now
}

// Doing is the intention and the step that are carried out now: "fetch/download". Empty: none.
func (b *BDI[B]) Doing() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.doing
}

// look returns the beliefs and what is closed when they change.
func (b *BDI[B]) look() (B, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beliefs, b.changes
}

// rests are the waits after intentions that failed one after the other: what such a failure changes
// in the beliefs may lead to the same one at once.
var rests = backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2, Max: 30 * time.Second}

// Run is the loop, for an [agent.Runner]. It returns when ctx ends. After an intention that failed
// it rests: for 0.1 s, and twice as long each time that the next one fails too, up to 30 s.
func (b *BDI[B]) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		now, changed := b.look()
		if in := b.deliberate(now); in != nil {
			if b.carryOut(ctx, in) {
				failures = 0
			} else {
				failures++
				_ = backoff.Sleep(ctx, rests.Wait(failures)) // ctx is asked below
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}

// carryOut does the steps of an intention until one fails or it is dropped; ok: none failed.
func (b *BDI[B]) carryOut(ctx context.Context, in *Intention[B]) (ok bool) {
	log := logger(ctx).With("intention", in.Name)
	log.DebugContext(ctx, "intends")
	defer b.note("")
	p := newProgress(ctx, len(in.Steps))
	for n, step := range in.Steps {
		if ctx.Err() != nil {
			return true
		}
		now, _ := b.look()
		if in.Holds != nil && !in.Holds(now) {
			log.InfoContext(ctx, "intention dropped", "before", step.Name)
			return true
		}
		b.note(in.Name + "/" + step.Name)
		err := b.do(p.part(ctx, n), in, step, now)
		switch {
		case errors.Is(err, ErrDropped):
			log.InfoContext(ctx, "intention dropped", "in", step.Name)
			return true
		case ctx.Err() != nil:
			return true
		case err != nil:
			log.WarnContext(ctx, "a step failed", "step", step.Name, "error", err)
			if in.Failed != nil {
				b.Believe(func(beliefs *B) { in.Failed(beliefs, step.Name, err) })
			}
			return false
		}
	}
	log.DebugContext(ctx, "intention carried out")
	return true
}

func (b *BDI[B]) note(doing string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doing = doing
}

// do does one step, and ends it when the beliefs do not support the intention any more.
func (b *BDI[B]) do(ctx context.Context, in *Intention[B], step IntentionStep[B], now B) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel(nil)
	if in.Holds != nil {
		watch.Go(func() {
			for {
				now, changed := b.look()
				if !in.Holds(now) {
					cancel(ErrDropped)
					return
				}
				select {
				case <-changed:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	defer recovered(ctx, &err)
	if err := step.Do(ctx, now); err != nil {
		if cause := context.Cause(ctx); cause == ErrDropped { //nolint:errorlint // the very one
			return fmt.Errorf("%w: %w", cause, err)
		}
		return err
	}
	return nil
}

func logger(ctx context.Context) *slog.Logger {
	if env, ok := agent.EnvFrom(ctx); ok && env.Logger != nil {
		return env.Logger
	}
	return slog.New(slog.DiscardHandler)
}
