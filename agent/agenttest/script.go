package agenttest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
)

// Script is an agent that answers as the test says, by tool name. What stands for a tool's answer
// may be
//
//   - an error, which the call gives;
//   - an [Answer] ([Func], [Each], [Delay], [Crash], [Hang], or a function of that shape) or an
//     [agent.Caller], which answers;
//   - what [Expect] gives, which answers, and fails the test where the calls are others;
//   - any other value, which is the result as it is for agent.NewTool: a string is text, a
//     *agent.Result the result itself, the rest JSON.
//
// An [agent.Tool], [agent.Prompt], [agent.Resource] or [agent.Subscription] is offered as it is,
// whatever its key.
type Script map[string]any

// Capabilities implements [agent.Agent].
func (s Script) Capabilities() agent.Capabilities {
	caps := agent.Capabilities{Description: "scripted by a test"}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		switch v := s[name].(type) {
		case agent.Tool:
			caps.Tools = append(caps.Tools, v)
		case agent.Prompt:
			caps.Prompts = append(caps.Prompts, v)
		case agent.Resource:
			caps.Resources = append(caps.Resources, v)
		case agent.Subscription:
			caps.Subscriptions = append(caps.Subscriptions, v)
		default:
			caps.Tools = append(caps.Tools,
				agent.NewTool(name, "scripted", func(ctx context.Context, _ json.RawMessage) (any, error) {
					answer, c := v, agent.CallFrom(ctx)
					if e, ok := v.(*Expectations); ok {
						var err error
						if answer, err = e.take(c); err != nil {
							return nil, err
						}
					}
					return reply(ctx, answer, c)
				}))
		}
	}
	return caps
}

// An Answer answers one call of a [Script]; its result is treated as that of a tool.
type Answer func(ctx context.Context, c *agent.Call) (any, error)

// reply answers a call with what stands for an answer.
func reply(ctx context.Context, v any, c *agent.Call) (any, error) {
	switch v := v.(type) {
	case error:
		return nil, v
	case *Expectations:
		return nil, agent.Errorf(agent.CodeInternal, "agenttest.Expect is to be a value of a Script, not a part of "+
			"one: put Each or Delay into it")
	case Answer:
		return v(ctx, c)
	case func(context.Context, *agent.Call) (any, error):
		return v(ctx, c)
	case agent.Caller:
		return v.Call(ctx, c)
	}
	return v, nil
}

// Func answers with a typed function.
func Func[In, Out any](fn func(context.Context, In) (Out, error)) Answer {
	return func(ctx context.Context, c *agent.Call) (any, error) {
		var in In
		if len(c.Input) > 0 {
			if err := json.Unmarshal(c.Input, &in); err != nil {
				return nil, agent.Errorf(agent.CodeInvalidArgument, "%s: the input does not decode: %w", c.Target(),
					err)
			}
		}
		return fn(ctx, in)
	}
}

// Each gives the first call the first answer, the second the second, and so on, each as in a
// [Script]; a call beyond the last fails.
func Each(answers ...any) Answer {
	var n atomic.Int64
	return func(ctx context.Context, c *agent.Call) (any, error) {
		i := int(n.Add(1))
		if i > len(answers) {
			return nil, agent.Errorf(agent.CodeToolFailed, "the script of %s has %d answers, and this is call %d",
				c.Target(), len(answers), i)
		}
		return reply(ctx, answers[i-1], c)
	}
}

// Delay answers as answer does in a [Script], after d, or ends with the call. Inside
// testing/synctest d takes no time.
func Delay(d time.Duration, answer any) Answer {
	return func(ctx context.Context, c *agent.Call) (any, error) {
		wait := time.NewTimer(d)
		defer wait.Stop()
		select {
		case <-wait.C:
			return reply(ctx, answer, c)
		case <-ctx.Done():
			return nil, agent.Errorf(agent.CodeOf(ctx.Err()), "%s takes %s: %w", c.Target(), d, ctx.Err())
		}
	}
}

// Crash ends the scripted agent in the middle of the call, as the death of its process does: this
// call and all others of the agent that are under way end with outcome_unknown. The agent is there
// again for the next call, as after the restart.
func Crash() Answer {
	return func(ctx context.Context, c *agent.Call) (any, error) {
		if l, ok := ctx.Value(lifeKey{}).(*life); ok {
			l.crash()
		}
		return nil, crashed(c)
	}
}

// Hang never answers: the call lasts until its deadline or its cancellation.
func Hang() Answer {
	return func(ctx context.Context, c *agent.Call) (any, error) {
		<-ctx.Done()
		return nil, agent.Errorf(agent.CodeOf(ctx.Err()), "%s hung: %w", c.Target(), ctx.Err())
	}
}
