package pattern

import (
	"context"
	"fmt"

	"github.com/openmas/openmas/agent"
)

// A Stage is a part of a [Sequence]: it reads what the earlier ones wrote into S, and writes what
// it found out.
type Stage[S any] struct {
	// Name is told with the stage's progress, and with its error.
	Name string
	Do   func(ctx context.Context, s *S) error
}

// Ask is the stage that calls the tool "agent.tool" with what in makes of the state, and has out
// note the answer there. The tool is its name.
func Ask[S, Out any](tool string, in func(*S) any, out func(*S, Out)) Stage[S] {
	return Stage[S]{tool, func(ctx context.Context, s *S) error {
		answer, err := agent.Ask[Out](ctx, tool, in(s), progressOf(ctx))
		if err == nil {
			out(s, answer)
		}
		return err
	}}
}

// Sequence runs stages one after the other over one state, which it takes and returns. It ends with
// the first error, which names the stage.
func Sequence[S any](stages ...Stage[S]) Step[S, S] {
	return func(ctx context.Context, s S) (S, error) {
		p := newProgress(ctx, len(stages))
		for n, stage := range stages {
			if err := ctx.Err(); err != nil {
				return s, at(stage.Name, agent.AsError(err))
			}
			if err := stage.Do(p.part(ctx, n), &s); err != nil {
				return s, at(stage.Name, err)
			}
			p.done(ctx, n, stage.Name)
		}
		return s, nil
	}
}

// Together is the stage that runs others at once. They share the state: each writes its own fields
// of it, and reads none that another one writes. The first error ends the others.
func Together[S any](stages ...Stage[S]) Stage[S] {
	return Stage[S]{"", func(ctx context.Context, s *S) error {
		_, err := each(ctx, len(stages), 0, func(ctx context.Context, n int) (struct{}, error) {
			return struct{}{}, at(stages[n].Name, stages[n].Do(ctx, s))
		})
		return err
	}}
}

// Loop runs body on its own output until it is good enough; the first input counts as an output, so
// that body may not run at all. After most rounds it fails with resource_exhausted.
func Loop[S any](most int, until func(S) bool, body Step[S, S]) Step[S, S] {
	return func(ctx context.Context, s S) (S, error) {
		p := newProgress(ctx, most)
		for round := range most {
			if until(s) {
				return s, nil
			}
			if err := ctx.Err(); err != nil {
				return s, agent.AsError(err)
			}
			next, err := body(p.part(ctx, round), s)
			if err != nil {
				return s, fmt.Errorf("round %d: %w", round+1, err)
			}
			s = next
			p.done(ctx, round, fmt.Sprintf("round %d", round+1))
		}
		if until(s) {
			return s, nil
		}
		return s, agent.Errorf(agent.CodeResourceExhausted, "not good enough after %d rounds", most)
	}
}

// Router gives its input to the one of routes whose name choose returns. Another name is an
// internal error.
func Router[In, Out any](choose Step[In, string], routes map[string]Step[In, Out]) Step[In, Out] {
	return func(ctx context.Context, in In) (out Out, err error) {
		name, err := choose(ctx, in)
		if err != nil {
			return out, fmt.Errorf("choose a route: %w", err)
		}
		route := routes[name]
		if route == nil {
			return out, agent.Errorf(agent.CodeInternal, "there is no route %q: %s", name, known(routes))
		}
		out, err = route(ctx, in)
		return out, at(name, err)
	}
}
