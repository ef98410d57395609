package runtime

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
)

// healthTimeout is what an agent may take to say how it is; one that takes longer is not well.
const healthTimeout = time.Second

// askChild asks the child process of an instance.
func (i *instance) askChild(ctx context.Context) error {
	s := i.session.Load()
	if s == nil {
		return nil // it is down, which its state says
	}
	_, err := (*s).Call(ctx, &agent.Call{Op: agent.OpEvent, Name: topicHealth, Input: []byte(`{}`), From: fromSelf,
		Attempt: 1})
	return err
}

// An answer is what an agent says about its health, once it has.
type answer struct {
	done chan struct{}
	err  error
}

// askHealth waits for the answer until ctx ends. Whoever asks while a question is open gets its
// answer: an agent that ignores its context keeps one goroutine busy, for which nobody can wait,
// and never more.
func (i *instance) askHealth(ctx context.Context) error {
	i.mu.Lock()
	a := i.asked
	if a == nil {
		a = &answer{done: make(chan struct{})}
		i.asked = a
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
			defer cancel()
			err := i.health(ctx)
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

// health asks every instance that can say how it is, at the same time, and returns what is wrong
// with those that are not well.
func (c *callee) health(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	sick := map[string]error{}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, i := range c.shown.instances {
		if i.health == nil {
			continue
		}
		asked.Go(func() {
			if err := i.askHealth(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				sick[i.id] = c.masked(err)
			}
		})
	}
	asked.Wait()
	return sick
}
