package communicatortest

import (
	"context"
	"sync"

	"github.com/openmas/openmas/agent"
)

// raw is a tool that sees the call itself.
func raw(name string, fn func(ctx context.Context, c *agent.Call) (*agent.Result, error)) agent.Tool {
	return agent.RawTool(name, "", nil, agent.CallerFunc(fn))
}

// echo answers with its input.
func echo() agent.Tool {
	return raw("echo", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		return &agent.Result{Structured: c.Input}, nil
	})
}

// ledger counts the executions of a tool by call.
type ledger struct {
	mu   sync.Mutex
	runs map[string]int
}

func (l *ledger) add(c *agent.Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs == nil {
		l.runs = map[string]int{}
	}
	l.runs[c.ID]++
}

// of is the number of executions of one call.
func (l *ledger) of(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs[id]
}

// count gives the number of executions, and the highest number of one call.
func (l *ledger) count() (total, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.runs {
		total, most = total+n, max(most, n)
	}
	return total, most
}

// latch is a tool, "latch", that reports when it began, and ends when it is released or its context
// ends.
type latch struct {
	ledger
	began chan *agent.Call
	ended chan error // nil: released
	open  chan struct{}
	free  func()
}

// newLatch makes one that the end of the test releases.
func (b *bench) newLatch() *latch {
	l := &latch{began: make(chan *agent.Call, 16), ended: make(chan error, 16), open: make(chan struct{})}
	l.free = sync.OnceFunc(func() { close(l.open) })
	b.Cleanup(l.free)
	return l
}

func (l *latch) tool() agent.Tool {
	return raw("latch", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		l.add(c)
		l.began <- c
		select {
		case <-l.open:
			l.ended <- nil
			return agent.TextResult("released"), nil
		case <-ctx.Done():
			l.ended <- ctx.Err()
			return nil, ctx.Err()
		}
	})
}
