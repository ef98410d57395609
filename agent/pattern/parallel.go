package pattern

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/stack"
)

// Parallel gives its input to all steps at once; its output has theirs, in the order of the steps.
// The first error ends the others; with steps of [Try] there is none.
func Parallel[In, Out any](steps ...Step[In, Out]) Step[In, []Out] {
	return func(ctx context.Context, in In) ([]Out, error) {
		return each(ctx, len(steps), 0, func(ctx context.Context, n int) (Out, error) { return steps[n](ctx, in) })
	}
}

// Map runs a step for each item of its input, at most limit at a time (0: as many as there are);
// its output has theirs, in the order of the items. The first error, which has the item's number,
// ends the others; with a step of [Try] there is none.
func Map[In, Out any](limit int, s Step[In, Out]) Step[[]In, []Out] {
	return func(ctx context.Context, in []In) ([]Out, error) {
		return each(ctx, len(in), limit, func(ctx context.Context, n int) (Out, error) {
			out, err := s(ctx, in[n])
			if err != nil {
				err = fmt.Errorf("item %d: %w", n, err)
			}
			return out, err
		})
	}
}

// each runs do for the numbers below n, at most limit at a time, and waits for all. The first error
// is returned; it ends the others, and none is begun any more. A panic is an error as well.
func each[Out any](ctx context.Context, n, limit int, do func(ctx context.Context, n int) (Out, error)) ([]Out, error) {
	out := make([]Out, n)
	progress := newProgress(ctx, n)
	p := pool.New().WithContext(ctx).WithCancelOnError().WithFirstError()
	if limit > 0 {
		p = p.WithMaxGoroutines(limit)
	}
	for k := range n {
		p.Go(func(ctx context.Context) (err error) {
			defer recovered(ctx, &err)
			if err := ctx.Err(); err != nil {
				return agent.AsError(err)
			}
			if out[k], err = do(progress.part(ctx, k), k); err == nil {
				progress.done(ctx, k, "")
			}
			return err
		})
	}
	if err := p.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// recovered makes a panic an error, in a goroutine where nobody else would.
func recovered(ctx context.Context, err *error) {
	v := recover()
	if v == nil {
		return
	}
	why := &panicError{fmt.Sprint(v), stack.OfPanic()}
	if env, ok := agent.EnvFrom(ctx); ok && env.Logger != nil {
		env.Logger.ErrorContext(ctx, "panic in a step", "panic", why.text, "stack", why.stack)
	}
	*err = agent.Errorf(agent.CodeInternal, "a step panicked: %w", why)
}

// A panicError is a recovered panic.
type panicError struct{ text, stack string }

func (e *panicError) Error() string { return e.text }

// Stack is where it happened. The span of the call shows it.
func (e *panicError) Stack() string { return e.stack }

// known lists the names of a map, for an error.
func known[V any](m map[string]V) string {
	if len(m) == 0 {
		return "there are none"
	}
	return "there are " + strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
