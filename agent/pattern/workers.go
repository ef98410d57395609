package pattern

import (
	"context"
	"fmt"
	"sync"

	"github.com/openmas/openmas/agent"
)

// Offering lists the agents that have all of the tools, but for the one that asks: those that can
// be called now, in the order of their names.
func Offering(ctx context.Context, tools ...string) ([]agent.Info, error) {
	env, ok := agent.EnvFrom(ctx)
	if !ok || env.Directory == nil {
		return nil, agent.Errorf(agent.CodeInternal,
			"look for agents: the context belongs to no agent (see agent.WithEnv)")
	}
	var out []agent.Info
agents:
	for _, a := range env.Directory.Agents() {
		if a.Name == env.Name {
			continue
		}
		for _, t := range tools {
			if _, has := a.Tool(t); !has {
				continue agents
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// chosen is [Offering] without those that only does not want, which may be nil.
func chosen(ctx context.Context, only func(agent.Info) bool, tools ...string) ([]agent.Info, error) {
	all, err := Offering(ctx, tools...)
	if err != nil {
		return nil, err
	}
	var out []agent.Info
	for _, a := range all {
		if only == nil || only(a) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, agent.Errorf(agent.CodeUnavailable, "no agent offers %q now", tools)
	}
	return out, nil
}

// passable reports whether another agent may do what this one failed at: it certainly did not do
// it, or doing it twice does no harm.
func passable(err error, a agent.Info, tool string) bool {
	e := agent.AsError(err)
	switch e.Code {
	case agent.CodeUnavailable, agent.CodeOutcomeUnknown, agent.CodeResourceExhausted, agent.CodeDeadlineExceeded:
		t, _ := a.Tool(tool)
		return e.NotExecuted || t.Repeatable()
	}
	return false
}

// Orchestrator splits its input into tasks, has all agents that can do them work on them, and puts
// the parts together.
type Orchestrator[In, Task, Part, Out any] struct {
	// Split makes the tasks.
	Split Step[In, []Task]
	// Tool is what an agent needs to have to be a worker: it takes a Task and gives a Part.
	Tool string
	// Only, if not nil, says which of the agents that have the tool are workers.
	Only func(agent.Info) bool
	// Each is how many tasks a worker works on at once; 0: 1.
	Each int
	// Join puts the parts together, which are in the order of their tasks.
	Join func(ctx context.Context, in In, parts []Part) (Out, error)
}

// Step is the orchestrator's work. A worker takes the next task when it is done with one, so that a
// slow one gets few. When it is unavailable, or its answer is missing (outcome_unknown,
// deadline_exceeded, resource_exhausted), it gets no more, and others do its task if it was
// certainly not done or may be done twice (see [agent.ToolInfo.Repeatable]). Any other error ends
// the work.
func (o Orchestrator[In, Task, Part, Out]) Step() Step[In, Out] {
	return func(ctx context.Context, in In) (out Out, err error) {
		workers, err := chosen(ctx, o.Only, o.Tool)
		if err != nil {
			return out, err
		}
		tasks, err := o.Split(ctx, in)
		if err != nil {
			return out, at("split", err)
		}
		parts := make([]Part, len(tasks))
		progress := newProgress(ctx, len(tasks))
		b := newBench(len(tasks), len(workers))
		hands := len(workers) * max(o.Each, 1)
		_, err = each(ctx, hands, 0, func(ctx context.Context, hand int) (struct{}, error) {
			k := hand % len(workers)
			w := workers[k]
			do := Call[Task, Part](w.Name + "." + o.Tool)
			for {
				n, ok := b.take(ctx, k)
				if !ok {
					return struct{}{}, nil
				}
				part, err := do(progress.part(ctx, n), tasks[n])
				switch {
				case err == nil:
					parts[n] = part
					progress.done(ctx, n, w.Name)
					b.done()
				case passable(err, w, o.Tool):
					b.giveBack(n, k, err)
				default:
					return struct{}{}, fmt.Errorf("task %d: %w", n, err)
				}
			}
		})
		if err == nil {
			err = b.err(ctx)
		}
		if err != nil {
			return out, err
		}
		out, err = o.Join(ctx, in, parts)
		return out, at("join", err)
	}
}

// A bench has the tasks that workers take.
type bench struct {
	queue chan int
	over  chan struct{} // closed when all is done, or nobody is left

	mu      sync.Mutex
	open    int // tasks that are not done
	workers int
	gone    []bool // by worker
	why     error  // why the last one is gone
}

func newBench(tasks, workers int) *bench {
	b := &bench{queue: make(chan int, tasks), over: make(chan struct{}), open: tasks, workers: workers,
		gone: make([]bool, workers)}
	for n := range tasks {
		b.queue <- n
	}
	if tasks == 0 {
		close(b.over)
	}
	return b
}

// take waits for a task; false: there is none any more for this worker.
func (b *bench) take(ctx context.Context, worker int) (int, bool) {
	b.mu.Lock()
	gone := b.gone[worker]
	b.mu.Unlock()
	if gone {
		return 0, false
	}
	select {
	case <-b.over:
	case <-ctx.Done():
	case n := <-b.queue:
		return n, true
	}
	return 0, false
}

func (b *bench) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open--; b.open == 0 {
		close(b.over)
	}
}

// giveBack leaves a task to the others.
func (b *bench) giveBack(n, worker int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue <- n
	if b.gone[worker] {
		return
	}
	b.gone[worker] = true
	b.why = err
	if b.workers--; b.workers == 0 {
		close(b.over)
	}
}

// err says why tasks are left.
func (b *bench) err(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open == 0:
		return nil
	case ctx.Err() != nil:
		return agent.AsError(ctx.Err())
	}
	return agent.Errorf(agent.CodeUnavailable, "%d tasks are left and no worker; the last one failed: %w", b.open,
		b.why)
}
