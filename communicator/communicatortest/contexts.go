package communicatortest

import (
	"context"
	"time"

	"github.com/openmas/openmas/agent"
)

// contexts: a deadline and a cancellation reach the tool, and the caller returns.
func contexts() []test {
	return []test{
		{"the deadline reaches the tool", nil, deadline},
		{"the deadline of a caller whose tool does not listen", []Feature{CallerLeaves}, deadlineIgnored},
		{"the cancellation reaches the tool", nil, cancellation},
		{"the cancellation by a caller whose tool does not listen", []Feature{CallerLeaves}, cancellationIgnored},
		{"a call that is over before it began", nil, overBefore},
		{"a deadline of its own per call", nil, twoDeadlines},
	}
}

func deadline(b *bench) {
	l := b.newLatch()
	seen := make(chan time.Time, 16)
	b.tools(echo(), raw("latch", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		at, _ := ctx.Deadline()
		seen <- at
		return l.tool().Call(ctx, c)
	}))
	b.alive() // the session stands: what follows is the call alone
	for limit := time.Second; ; limit *= 4 {
		ctx, cancel := context.WithTimeout(b.ctx(), limit)
		defer cancel()
		at, _ := ctx.Deadline()
		a := wait(b, b.start(ctx, "latch", nil), "the call with a deadline")
		e := b.failed(a.res, a.err)
		if e.Code != agent.CodeDeadlineExceeded {
			b.Fatalf("the call ended with %v", e)
		}
		if len(l.began) == 0 && limit < b.cfg.Timeout {
			continue // so slow a machine that the call did not get there in time
		}
		wait(b, l.began, "the tool to begin")
		if got := wait(b, seen, "the tool's deadline"); got.IsZero() || got.After(at.Add(time.Second)) {
			b.Errorf("the tool's deadline is %v, the caller's %v", got, at)
		}
		if e.NotExecuted {
			b.Errorf("the tool ran, and yet: NotExecuted: %v", e)
		}
		if err := wait(b, l.ended, "the tool's context to end"); err == nil {
			b.Error("the tool was released by the test")
		}
		b.alive()
		return
	}
}

// ignoresContext returns a tool, "stubborn", that ignores its context until the test ends.
func ignoresContext(b *bench) (tool agent.Tool, began chan struct{}) {
	began, open := make(chan struct{}, 16), make(chan struct{})
	b.Cleanup(func() { close(open) })
	return raw("stubborn", func(context.Context, *agent.Call) (*agent.Result, error) {
		began <- struct{}{}
		<-open
		return agent.TextResult("too late"), nil
	}), began
}

func deadlineIgnored(b *bench) {
	tool, _ := ignoresContext(b)
	b.tools(echo(), tool)
	b.alive()
	ctx, cancel := context.WithTimeout(b.ctx(), 500*time.Millisecond)
	defer cancel()
	a := wait(b, b.start(ctx, "stubborn", nil), "the caller to leave")
	if e := b.failed(a.res, a.err); e.Code != agent.CodeDeadlineExceeded {
		b.Errorf("the call ended with %v", e)
	}
	b.alive()
}

func cancellation(b *bench) {
	l := b.newLatch()
	b.tools(echo(), l.tool())
	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	ch := b.start(ctx, "latch", nil)
	wait(b, l.began, "the tool to begin")
	cancel()
	a := wait(b, ch, "the cancelled call")
	b.want(b.failed(a.res, a.err), false, agent.CodeCanceled)
	if err := wait(b, l.ended, "the tool's context to end"); err == nil {
		b.Error("the tool was released by the test")
	}
	b.alive()
}

func cancellationIgnored(b *bench) {
	tool, began := ignoresContext(b)
	b.tools(echo(), tool)
	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	ch := b.start(ctx, "stubborn", nil)
	wait(b, began, "the tool to begin")
	cancel()
	a := wait(b, ch, "the caller to leave")
	b.want(b.failed(a.res, a.err), false, agent.CodeCanceled)
	b.alive()
}

func overBefore(b *bench) {
	l := b.newLatch()
	b.tools(echo(), l.tool())
	b.alive()
	ctx, cancel := context.WithCancel(b.ctx())
	cancel()
	a := wait(b, b.start(ctx, "latch", nil), "the cancelled call")
	b.want(b.failed(a.res, a.err), true, agent.CodeCanceled)
	ctx, cancel = context.WithTimeout(b.ctx(), 0)
	defer cancel()
	a = wait(b, b.start(ctx, "latch", nil), "the call past its deadline")
	b.want(b.failed(a.res, a.err), true, agent.CodeDeadlineExceeded)
	b.alive()
	if n, _ := l.count(); n != 0 {
		b.Errorf("the tool ran %d times", n)
	}
}

// Ending one call leaves its neighbour on the same session alone.
func twoDeadlines(b *bench) {
	l := b.newLatch()
	b.tools(l.tool())
	ctx, cancel := context.WithCancel(b.ctx())
	defer cancel()
	first := b.start(ctx, "latch", nil)
	wait(b, l.began, "the first call to begin")
	second := b.start(b.ctx(), "latch", nil)
	wait(b, l.began, "the second call to begin")
	cancel()
	if a := wait(b, first, "the cancelled call"); agent.CodeOf(a.err) != agent.CodeCanceled {
		b.Errorf("the cancelled call gave %v", a.err)
	}
	wait(b, l.ended, "the cancelled tool to end")
	l.free()
	if a := wait(b, second, "the other call"); a.err != nil || a.res.Text() != "released" {
		b.Errorf("the other call gave %v", a)
	}
}
