package reload

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrStopping is the cause of a reload's end, or why none begins: the system stops.
var ErrStopping = errors.New("the system is stopping")

// Turns are those of reloads, of which one goes on at a time. The zero Turns is free. It is safe
// for concurrent use.
type Turns struct {
	mu     sync.Mutex
	over   bool
	turn   chan struct{}           // of who has it, closed at its end; nil: it is free
	cancel context.CancelCauseFunc // of its context
	// after are what reloads have left to do, and ended is closed when none is left.
	after int
	ended chan struct{}
}

// Begin waits for its turn. The context ends when the system stops; end gives the turn back. The
// error is ErrStopping, or that of ctx.
func (t *Turns) Begin(ctx context.Context) (_ context.Context, end func(), err error) {
	for {
		t.mu.Lock()
		switch {
		case t.over:
			t.mu.Unlock()
			return nil, nil, ErrStopping
		case t.turn == nil:
			mine := make(chan struct{})
			ctx, cancel := context.WithCancelCause(ctx)
			t.turn, t.cancel = mine, cancel
			t.mu.Unlock()
			return ctx, sync.OnceFunc(func() {
				t.mu.Lock()
				defer t.mu.Unlock()
				t.turn, t.cancel = nil, nil
				cancel(nil)
				close(mine)
			}), nil
		}
		others := t.turn
		t.mu.Unlock()
		select {
		case <-others:
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("given up while another reload goes on: %w", context.Cause(ctx))
		}
	}
}

// After does what a reload has left to do, beside those that come next. Close waits for it. It is
// called by who has the turn.
func (t *Turns) After(do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.after++; t.after == 1 {
		t.ended = make(chan struct{})
	}
	go func() {
		defer func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.after--; t.after == 0 {
				close(t.ended)
			}
		}()
		do()
	}()
}

// Close lets none begin any more, ends the context of the one that goes on, and waits for its end,
// and for what others have left to do, until ctx ends.
func (t *Turns) Close(ctx context.Context) error {
	t.mu.Lock()
	t.over = true
	turn := t.turn
	if turn != nil {
		t.cancel(ErrStopping)
	}
	t.mu.Unlock()
	if turn != nil {
		select {
		case <-turn:
		case <-ctx.Done():
			return fmt.Errorf("a reload has not ended: %w", ctx.Err())
		}
	}
	t.mu.Lock()
	after, ended := t.after, t.ended
	t.mu.Unlock()
	if after == 0 {
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("agents that were replaced have not ended: %w", ctx.Err())
	}
}
