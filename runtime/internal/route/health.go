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

// askHealth waits for the answer until ctx ends. Whoever asks while a question is open gets its
// answer: an agent that ignores its context keeps one goroutine busy, for which nobody can wait,
// and never more.
func (i *Instance) askHealth(ctx context.Context) error {
	i.mu.Lock()
	a := i.asked
	if a == nil {
		a = &answer{done: make(chan struct{})}
		i.asked = a
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
			defer cancel()
			err := i.Health(ctx)
			i.mu.Lock()
			i.asked = nil
			i.mu.Unlock()
			a.err = err
			close(a.done)
		}()
	}
	i.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %v", healthTimeout)
	}
}

// Unhealthy asks every instance that implements Healther, at the same time, and returns what is
// wrong with those that are not healthy, by ID.
func (c *Callee) Unhealthy(ctx context.Context) map[string]error {
	var mu sync.Mutex
	var asked sync.WaitGroup
	var unhealthy map[string]error
	ask := func(i *Instance) {
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		if err := i.askHealth(ctx); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if unhealthy == nil {
				unhealthy = map[string]error{}
			}
			unhealthy[i.ID] = c.Mask(err)
		}
	}
	for _, i := range c.Shown.instances {
		if i.Health != nil {
			asked.Go(func() { ask(i) })
		}
	}
	asked.Wait()
	return unhealthy
}
