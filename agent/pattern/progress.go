package pattern

import (
	"context"
	"sync"

	"github.com/openmas/openmas/agent"
)

// A progress adds up how far the parts of a pattern have come, for its caller. Each part counts 1.
type progress struct {
	tell func(agent.ProgressNotice) // to the pattern that this one is a part of; nil: to the caller
	mu   sync.Mutex
	came []float64
	sent float64
}

type progressKey struct{}

func newProgress(ctx context.Context, parts int) *progress {
	tell, _ := ctx.Value(progressKey{}).(func(agent.ProgressNotice))
	return &progress{tell: tell, came: make([]float64, parts)}
}

// part is the context of part n: what its calls say of their progress counts for it.
func (p *progress) part(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, progressKey{}, func(said agent.ProgressNotice) {
		if said.Total > 0 {
			p.set(ctx, n, min(max(said.Progress/said.Total, 0), 1), said.Message)
		}
	})
}

// done notes that part n has ended.
func (p *progress) done(ctx context.Context, n int, message string) { p.set(ctx, n, 1, message) }

// set notes how far part n has come. Notices of a call must grow: one that does not is dropped.
func (p *progress) set(ctx context.Context, n int, came float64, message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.came[n] = max(p.came[n], came)
	sum := 0.0
	for _, c := range p.came {
		sum += c
	}
	if sum <= p.sent {
		return
	}
	p.sent = sum
	if p.tell != nil {
		p.tell(agent.ProgressNotice{Progress: sum, Total: float64(len(p.came)), Message: message})
		return
	}
	agent.Progress(ctx, sum, float64(len(p.came)), message)
}

// progressOf has a call tell the pattern that it is a part of how far it has come.
func progressOf(ctx context.Context) agent.CallOption {
	tell, _ := ctx.Value(progressKey{}).(func(agent.ProgressNotice))
	return agent.OnProgress(tell)
}
