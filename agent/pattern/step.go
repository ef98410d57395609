// Package pattern composes agents: one after the other, at once, for each of many, until it is good
// enough, by whoever can, or by whoever offers most.
//
// Every pattern is a [Step], a plain function of a context and an input, made of other steps. A
// Step is what [agent.NewTool] takes, so a pattern becomes a tool of an agent with one line:
//
//	agent.NewTool("review", "Reviews a folder.", pattern.Sequence(…))
//
// Steps of [Call] are calls like any other, by the agent that runs in the context: with its
// deadline, its place in the trace, the policies of the project, over whatever communicator leads
// to the callee. What a pattern starts has ended when it returns, and ends soon when its context
// does. While it works, it tells its caller how far it has come: see [agent.Progress].
package pattern

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/openmas/openmas/agent"
)

// A Step takes an input and gives an output. It may be used concurrently if what it is made of may
// be.
type Step[In, Out any] func(ctx context.Context, in In) (Out, error)

// Call is the step that calls the tool "agent.tool" with its input: see [agent.Ask].
func Call[In, Out any](tool string, opts ...agent.CallOption) Step[In, Out] {
	return func(ctx context.Context, in In) (Out, error) {
		return agent.Ask[Out](ctx, tool, in, append([]agent.CallOption{progressOf(ctx)}, opts...)...)
	}
}

// Call implements [agent.Caller]: the call's input is decoded into In, and the output becomes the
// result.
func (s Step[In, Out]) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	var in In
	if len(c.Input) > 0 {
		if err := json.Unmarshal(c.Input, &in); err != nil {
			return nil, agent.Refusedf(agent.CodeInvalidArgument, "%s: the input does not decode: %w", c.Target(), err)
		}
	}
	out, err := s(ctx, in)
	if err != nil {
		return nil, err
	}
	return agent.JSONResult(out)
}

// Then is the step whose input goes through first, and what that gives through second.
func Then[In, Mid, Out any](first Step[In, Mid], second Step[Mid, Out]) Step[In, Out] {
	return func(ctx context.Context, in In) (out Out, err error) {
		p := newProgress(ctx, 2)
		mid, err := first(p.part(ctx, 0), in)
		if err != nil {
			return out, err
		}
		p.done(ctx, 0, "")
		return second(p.part(ctx, 1), mid)
	}
}

// An Outcome is how a step ended.
type Outcome[Out any] struct {
	Out Out `json:"out"`
	// Err is nil if it went well.
	Err *agent.Error `json:"error,omitempty"`
}

// Try is a step that does not fail: how s ended is its output. [Parallel] and [Map] of such steps
// collect everything, where they would end with the first error.
func Try[In, Out any](s Step[In, Out]) Step[In, Outcome[Out]] {
	return func(ctx context.Context, in In) (Outcome[Out], error) {
		out, err := s(ctx, in)
		return Outcome[Out]{out, agent.AsError(err)}, nil
	}
}

// at says in which part of a pattern an error arose.
func at(part string, err error) error {
	if part == "" || err == nil {
		return err
	}
	return fmt.Errorf("%s: %w", part, err)
}
