package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
)

// healthTimeout is what an agent may take to say how it is; one that takes longer is not well.
const healthTimeout = time.Second

// healthOf is how an agent in this process is asked; nil when it has nothing to say.
func healthOf(a agent.Agent, env agent.Env) func(context.Context) error {
	h, ok := a.(agent.Healther)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (err error) {
		log := env.Logger
		if log == nil {
			log = slog.New(slog.DiscardHandler)
		}
		defer recovered(&err, log, "Health of "+env.Instance)
		return h.Health(agent.WithEnv(ctx, env))
	}
}

// askChild asks the child process of an instance.
func (i *instance) askChild(ctx context.Context) error {
	s := i.session.Load()
	if s == nil {
		return nil // it is down, which its state says
	}
	_, err := (*s).Call(ctx, &agent.Call{Op: agent.OpEvent, Name: topicHealth, Input: []byte(`{}`), Caller: selfName, Attempt: 1})
	return err
}

// askHealth waits for the answer until ctx ends. An agent that ignores its context is asked again only once it has answered: nobody can wait for it, but there is
// one of it at most.
func (i *instance) askHealth(ctx context.Context) error {
	if !i.asking.CompareAndSwap(false, true) {
		return errors.New("it has not answered yet")
	}
	answer := make(chan error, 1)
	go func() {
		defer i.asking.Store(false)
		answer <- i.health(ctx)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %v", healthTimeout)
	}
}

// health asks every instance that can say how it is, at the same time, and returns what is wrong with those that are not well.
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
				sick[i.id] = err
			}
		})
	}
	asked.Wait()
	return sick
}
