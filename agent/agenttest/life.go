package agenttest

import (
	"context"
	"sync"

	"github.com/openmas/openmas/agent"
)

// life is an agent that can crash: [Crash] ends all its calls.
type life struct {
	*agent.Host

	mu  sync.Mutex
	now context.Context // until the next crash; nil: nobody has called since the last one
	end context.CancelFunc
}

type lifeKey struct{}

func (l *life) current() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == nil {
		l.now, l.end = context.WithCancel(context.Background())
	}
	return l.now
}

func (l *life) crash() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now != nil {
		l.end()
		l.now = nil
	}
}

// Call implements [agent.Caller].
func (l *life) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	now := l.current()
	ctx, cancel := context.WithCancel(context.WithValue(ctx, lifeKey{}, l))
	defer cancel()
	defer context.AfterFunc(now, cancel)()
	res, err := l.Host.Call(ctx, c)
	if now.Err() != nil {
		return nil, crashed(c)
	}
	return res, err
}

func crashed(c *agent.Call) error {
	return agent.Errorf(agent.CodeOutcomeUnknown, "%s: the agent crashed in the middle of the call", c.Target())
}
