package calls

import (
	"context"
	"errors"
	"sync"

	"github.com/openmas/openmas/agent"
)

// Served is what a communicator serves: a binding for each name. The zero Served is empty. It is
// safe for concurrent use.
type Served[B binding] struct {
	mu     sync.RWMutex
	all    map[string]B
	closed bool
}

// A binding is a Gate with what is behind it. Close shuts it, waits and removes it from the Served.
type binding interface {
	comparable
	Shut()
	Close(ctx context.Context) error
}

// Add serves b under an agent's name, which must be free. With a ctx that has ended it does not.
func (s *Served[B]) Add(ctx context.Context, name string, b B) error {
	if err := agent.CheckAgentName(name); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return agent.AsError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return agent.Errorf(agent.CodeUnavailable, "serve %s: the communicator is closed", name)
	}
	if _, taken := s.all[name]; taken {
		return agent.Errorf(agent.CodeInvalidArgument, "serve %s: the name is taken", name)
	}
	if s.all == nil {
		s.all = map[string]B{}
	}
	s.all[name] = b
	return nil
}

// Find returns what is served under a name. closed: there will not be any more.
func (s *Served[B]) Find(name string) (b B, ok, closed bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok = s.all[name]
	return b, ok, s.closed
}

// Remove ends what Add began. Another binding that has the name by now keeps it.
func (s *Served[B]) Remove(name string, b B) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[name] == b {
		delete(s.all, name)
	}
}

// Close refuses new names and all calls, then closes every binding, side by side.
func (s *Served[B]) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	var all []B
	for _, b := range s.all {
		all = append(all, b)
	}
	s.mu.Unlock()
	for _, b := range all {
		b.Shut()
	}
	ended := make([]error, len(all))
	var wg sync.WaitGroup
	for i, b := range all {
		wg.Go(func() { ended[i] = b.Close(ctx) })
	}
	wg.Wait()
	return errors.Join(ended...)
}
