package route

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// healthTimeout bounds an answer about health; an agent that takes longer is not healthy.
const healthTimeout = time.Second

// An answer is an agent's about its health, once done is closed.
type answer struct {
	done chan struct{}
	err  error
}

// A question about the health of an instance is open once at most.
type question struct {
	mu   sync.Mutex
	open *answer
}

// ask waits for the answer until ctx ends. Whoever asks while the question is open gets its answer:
// an agent that ignores its context keeps one goroutine busy, for which nobody can wait, and never
// more.
func (q *question) ask(ctx context.Context, health func(context.Context) error) error {
	q.mu.Lock()
	a := q.open
	if a == nil {
		a = &answer{done: make(chan struct{})}
		q.open = a
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
			defer cancel()
			err := health(ctx)
			q.mu.Lock()
			q.open = nil
			q.mu.Unlock()
			a.err = err
			close(a.done)
		}()
	}
	q.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %v", healthTimeout)
	}
}
