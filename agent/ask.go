package agent

import (
	"context"
	"encoding/json"
	"fmt"
)

// A CallOption refines a call. Only this package makes them.
type CallOption interface{ call(c *Call) }

type callOption func(*Call)

func (o callOption) call(c *Call) { o(c) }

// OnProgress gets the progress notices of the call, while it runs, beside the back-channel that the
// call has anyway; fn must be quick and may be called concurrently.
func OnProgress(fn func(ProgressNotice)) CallOption {
	return callOption(func(c *Call) {
		if fn != nil {
			c.Back = watched{c.Back, fn}
		}
	})
}

// IdempotencyKey makes calls with equal keys the same piece of work, which runs once: see
// [Call.Key]. Where the callee keeps the results of such calls, the runtime makes a call again
// whose outcome is unknown. Agents that are foreign servers do not keep them.
func IdempotencyKey(key string) CallOption { return callOption(func(c *Call) { c.Key = key }) }

// Ask calls the tool "agent.tool" with in as its arguments and decodes what it says into Out (see
// [Result.Decode]). ctx carries who asks, the deadline and the cancellation. Errors are or wrap an
// [*Error].
func Ask[Out any](ctx context.Context, tool string, in any, opts ...CallOption) (Out, error) {
	var out Out
	res, err := CallTool(ctx, tool, in, opts...)
	if err != nil {
		return out, err
	}
	if err := res.Decode(&out); err != nil {
		return out, fmt.Errorf("%s: %w", tool, err)
	}
	return out, nil
}

// CallTool is [Ask] without decoding.
func CallTool(ctx context.Context, tool string, in any, opts ...CallOption) (*Result, error) {
	agent, name, ok := SplitName(tool)
	if !ok {
		return nil, Refusedf(CodeInvalidArgument, "%q is no tool: write agent.tool", tool)
	}
	return Do(ctx, Call{Op: OpTool, Agent: agent, Name: name}, in, opts...)
}

// GetPrompt fills in the prompt "agent.prompt".
func GetPrompt(ctx context.Context, prompt string, arguments map[string]string, opts ...CallOption) (*PromptResult,
	error) {
	agent, name, ok := SplitName(prompt)
	if !ok {
		return nil, Refusedf(CodeInvalidArgument, "%q is no prompt: write agent.prompt", prompt)
	}
	if arguments == nil {
		arguments = map[string]string{}
	}
	res, err := Do(ctx, Call{Op: OpPrompt, Agent: agent, Name: name}, arguments, opts...)
	if err != nil {
		return nil, err
	}
	return res.Prompt()
}

// ReadResource reads a resource of an agent.
func ReadResource(ctx context.Context, agent, uri string, opts ...CallOption) ([]ResourceContents, error) {
	res, err := Do(ctx, Call{Op: OpResource, Agent: agent, Name: uri}, nil, opts...)
	if err != nil {
		return nil, err
	}
	var out []ResourceContents
	for _, c := range res.Content {
		if c.Resource != nil {
			out = append(out, *c.Resource)
		}
	}
	return out, nil
}

// Complete asks an agent to complete an argument of a prompt, or a variable of a resource template.
// ref is the prompt's name or the template.
func Complete(ctx context.Context, agent, ref string, req CompleteRequest, opts ...CallOption) (Completion, error) {
	var out Completion
	res, err := Do(ctx, Call{Op: OpComplete, Agent: agent, Name: ref}, req, opts...)
	if err != nil {
		return out, err
	}
	return out, res.Decode(&out)
}

// Do makes the call c as the agent that runs in ctx, through the agent's directory. Input is made
// from in (nil: none; a json.RawMessage as it is). A Back of the call's own takes the place of the
// one in ctx; ID, From, Root, Path and Depth are written in any case.
func Do(ctx context.Context, c Call, in any, opts ...CallOption) (*Result, error) {
	f := frameOf(ctx)
	var dir *lentDirectory
	if f != nil {
		dir, _ = f.env.Directory.(*lentDirectory)
	}
	if dir == nil {
		return nil, Refusedf(CodeInternal, "call %s: the context belongs to no agent (see agent.WithEnv)", c.Target())
	}
	switch in := in.(type) {
	case nil:
	case json.RawMessage:
		c.Input = in
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return nil, Refusedf(CodeInvalidArgument, "call %s: encode the input: %w", c.Target(), err)
		}
		c.Input = b
	}
	dir.stamp(f, &c)
	if c.Back == nil {
		c.Back = f.offered()
	}
	for _, o := range opts {
		o.call(&c)
	}
	return dir.dir.Call(ctx, &c)
}

// offered is the back-channel of a call that is made in the frame.
func (f *frame) offered() BackChannel {
	if f.back == nil || f.chosen {
		return f.back
	}
	return below{f.back}
}

// below is the back-channel of a call that a tool makes in turn. Questions, what becomes of them,
// and log lines reach whoever made the first call; progress and content are about the call itself
// and stay here.
type below struct{ outer BackChannel }

func (b below) Notify(ctx context.Context, n Notice) {
	if n.Log != nil || n.ElicitComplete != "" {
		b.outer.Notify(ctx, Notice{Log: n.Log, ElicitComplete: n.ElicitComplete, Raw: n.Raw})
	}
}

func (b below) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	return b.outer.Request(ctx, r)
}

// watched is a back-channel, or none, with somebody who watches the progress of the call.
type watched struct {
	back     BackChannel
	progress func(ProgressNotice)
}

func (w watched) Notify(ctx context.Context, n Notice) {
	if n.Progress != nil {
		w.progress(*n.Progress)
	}
	if w.back != nil {
		w.back.Notify(ctx, n)
	}
}

func (w watched) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	if w.back == nil {
		return nil, Errorf(CodeUnavailable, "the caller does not answer %q requests", r.Kind)
	}
	return w.back.Request(ctx, r)
}
