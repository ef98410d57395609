package communicatortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// bench is where one subtest works: the two ends, and a directory over what was dialled.
type bench struct {
	*testing.T
	Setup
	cfg Config
	dir *directory
	ids atomic.Uint64 // of direct calls
}

// me is the caller of all calls that the tests make.
const me = "tester"

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	leaks := append(slices.Clone(cfg.Goroutines), goleak.IgnoreCurrent())
	t.Cleanup(func() { // registered first, so it runs last: New's own clean-up is done
		if !t.Failed() {
			goleak.VerifyNone(t, leaks...)
		}
	})
	b := &bench{T: t, cfg: cfg, Setup: cfg.New(t)}
	for f, missing := range map[Feature]bool{Connection: b.Sever == nil, Holding: b.Hold == nil,
		InputLimit: b.Limit == 0, ResultLimit: b.ResultLimit == 0} {
		if _, declared := cfg.Lacks[f]; missing && !declared {
			t.Fatalf("the Setup gives no means to test %s: give it, or declare in Lacks why not", f)
		}
	}
	if b.Caller == nil {
		b.Caller = b.Communicator
	}
	b.dir = &directory{dialer: b.Caller, peers: map[string]communicator.Peer{}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cfg.Timeout)
		defer cancel()
		b.dir.close(ctx)
		for _, c := range []communicator.Communicator{b.Caller, b.Communicator} {
			if err := c.Close(ctx); err != nil && !t.Failed() {
				t.Errorf("close the communicator: %v", err)
			}
		}
	})
	return b
}

// serve offers an agent of these capabilities. Its own directory dials like the test's.
func (b *bench) serve(name string, caps agent.Capabilities) communicator.Binding {
	b.Helper()
	h, err := agent.NewHost(agent.Env{Name: name, Directory: b.dir}, caps)
	if err != nil {
		b.Fatal(err)
	}
	binding, err := b.Communicator.Serve(b.short(), h)
	if err != nil {
		b.Fatalf("serve %s: %v", name, err)
	}
	return binding
}

// tools offers the agent "callee" with these tools.
func (b *bench) tools(tools ...agent.Tool) communicator.Binding {
	b.Helper()
	return b.serve("callee", agent.Capabilities{Tools: tools})
}

// direct is a call of a tool of "callee" as a runtime passes it to a communicator.
func (b *bench) direct(tool string) *agent.Call {
	id := fmt.Sprintf("direct-%d", b.ids.Add(1))
	return &agent.Call{ID: id, Op: agent.OpTool, Agent: "callee", Name: tool, Input: json.RawMessage(`{}`),
		From: agent.Identity{Agent: me, Instance: me + "/0", Trusted: true}, Root: id, Path: []string{me}, Attempt: 1}
}

// short is a context that ends with the test's time.
func (b *bench) short() context.Context { return b.within(b.cfg.Timeout) }

func (b *bench) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	b.Cleanup(cancel)
	return ctx
}

// ctx is the context of the agent that calls. It outlasts every wait, so that its deadline does not
// bring about what is waited for.
func (b *bench) ctx() context.Context {
	return agent.WithEnv(b.within(4*b.cfg.Timeout), agent.Env{Name: me, Directory: b.dir})
}

// ask calls a tool of "callee" that has to succeed.
func (b *bench) ask(tool string, in any, opts ...agent.CallOption) *agent.Result {
	b.Helper()
	res, err := agent.CallTool(b.ctx(), "callee."+tool, in, opts...)
	if err != nil {
		b.Fatalf("callee.%s: %v", tool, err)
	}
	if res == nil {
		b.Fatalf("callee.%s: neither a result nor an error", tool)
	}
	return res
}

// refuse calls a tool of "callee" that has to fail.
func (b *bench) refuse(tool string, in any, opts ...agent.CallOption) *agent.Error {
	b.Helper()
	res, err := agent.CallTool(b.ctx(), "callee."+tool, in, opts...)
	return b.failed(res, err)
}

// failed expects an [agent.Error].
func (b *bench) failed(res *agent.Result, err error) *agent.Error {
	b.Helper()
	var e *agent.Error
	switch {
	case err == nil:
		b.Fatalf("the call succeeded: %+v", res)
	case !errors.As(err, &e):
		b.Fatalf("the error is a %T and wraps no *agent.Error: %v", err, err)
	}
	return e
}

// want checks an error's code and its evidence.
func (b *bench) want(e *agent.Error, notExecuted bool, codes ...agent.Code) {
	b.Helper()
	if !slices.Contains(codes, e.Code) {
		b.Errorf("the error is %v, want one of %v", e, codes)
	}
	if e.NotExecuted != notExecuted {
		b.Errorf("NotExecuted is %v, want %v: %v", e.NotExecuted, notExecuted, e)
	}
}

// alive checks that the session still works, by the tool "echo".
func (b *bench) alive() {
	b.Helper()
	if got := b.ask("echo", map[string]string{"word": "still here"}).Text(); got != `{"word":"still here"}` {
		b.Errorf("the next call gave %q", got)
	}
}

// wait returns what ch gives, within the timeout.
func wait[T any](b *bench, ch <-chan T, what string) (v T) {
	b.Helper()
	select {
	case v = <-ch:
	case <-b.short().Done():
		b.Fatalf("waited %v for %s", b.cfg.Timeout, what)
	}
	return v
}

// eventually repeats try until it is true.
func (b *bench) eventually(what string, try func() bool) {
	b.Helper()
	ctx, tick := b.short(), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !try() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatalf("waited %v for this: %s", b.cfg.Timeout, what)
		}
	}
}

// answer is what a call gave.
type answer struct {
	res *agent.Result
	err error
}

func (a answer) String() string {
	if a.err != nil {
		return "the error " + a.err.Error()
	}
	return fmt.Sprintf("%+v", a.res)
}

// start makes a call in the background.
func (b *bench) start(ctx context.Context, tool string, in any, opts ...agent.CallOption) <-chan answer {
	ch := make(chan answer, 1)
	go func() {
		res, err := agent.CallTool(ctx, "callee."+tool, in, opts...)
		ch <- answer{res, err}
	}()
	return ch
}

// test is one promise. needs are the features without which it is skipped.
type test struct {
	name  string
	needs []Feature
	run   func(b *bench)
}

// with is the caller's context, offering h.
func (b *bench) with(h agent.BackChannelFuncs) context.Context {
	return agent.WithBackChannel(b.ctx(), h)
}
