package communicatortest

import (
	"context"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
)

// lost: the connection is lost. The error that the caller gets is true, and nothing is executed
// twice.
func lost() []test {
	conn, hold := []Feature{Connection}, []Feature{Connection, Holding}
	return []test{
		{"before a call is sent", conn, lostBefore},
		{"after it was sent, before it is dispatched", hold, lostAfterSend},
		{"after it was dispatched", conn, lostAfterDispatch},
		{"before its answer is read", hold, lostBeforeAnswer},
		{"with many calls in flight", conn, lostWithMany},
		{"the tool's context ends", []Feature{Connection, OrphanCancel}, lostCancels},
		{"a new session works", conn, lostAndBack},
		{"the caller's deadline while nothing moves", hold, frozen},
	}
}

// truth compares the error of a call after the loss with the ledger: it ran at most once, and not
// at all where the error is NotExecuted.
func (b *bench) truth(l *ledger, e *agent.Error, id string) {
	b.Helper()
	switch runs := l.of(id); {
	case runs > 1:
		b.Errorf("the call ran %d times", runs)
	case e.NotExecuted && runs != 0:
		b.Errorf("the call ran, and its error is NotExecuted: %v", e)
	case e.NotExecuted && e.Code != agent.CodeUnavailable, !e.NotExecuted && e.Code != agent.CodeOutcomeUnknown:
		b.Errorf("the error is %v with NotExecuted %v: want unavailable where it did not run, else outcome_unknown", e,
			e.NotExecuted)
	}
}

func countTool(l *ledger) agent.Tool {
	return raw("count", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		l.add(c)
		return agent.TextResult("counted"), nil
	})
}

func lostBefore(b *bench) {
	var ran ledger
	b.tools(echo(), countTool(&ran))
	b.alive()
	b.Sever()
	// A loss may be noticed late, so the first calls may be sent into it; then they are refused, or
	// a communicator that reconnects by itself is back.
	b.eventually("a call is answered, or refused before it is sent", func() bool {
		c := b.direct("count")
		res, err := b.dir.Call(b.ctx(), c)
		if err == nil {
			return true
		}
		e := b.failed(res, err)
		b.truth(&ran, e, c.ID)
		return e.NotExecuted || b.Failed()
	})
	if _, most := ran.count(); most > 1 {
		b.Errorf("a call ran %d times", most)
	}
}

func lostAfterSend(b *bench) {
	var ran ledger
	b.tools(echo(), countTool(&ran))
	b.alive()
	held := b.Hold(ToCallee)
	ch := b.start(b.ctx(), "count", nil)
	wait(b, held, "the call to be sent")
	b.Sever()
	a := wait(b, ch, "the call to fail")
	b.want(b.failed(a.res, a.err), false, agent.CodeOutcomeUnknown)
	if total, _ := ran.count(); total != 0 {
		b.Errorf("what was lost on the way ran %d times: it was sent again", total)
	}
}

func lostAfterDispatch(b *bench) {
	l := b.newLatch()
	b.tools(echo(), l.tool())
	ch := b.start(b.ctx(), "latch", nil)
	wait(b, l.began, "the tool to begin")
	b.Sever()
	a := wait(b, ch, "the call to fail")
	b.want(b.failed(a.res, a.err), false, agent.CodeOutcomeUnknown)
	l.free()
	wait(b, l.ended, "the tool to end")
	if total, _ := l.count(); total != 1 {
		b.Errorf("%d executions", total)
	}
}

func lostBeforeAnswer(b *bench) {
	l := b.newLatch()
	b.tools(echo(), l.tool())
	ch := b.start(b.ctx(), "latch", nil)
	wait(b, l.began, "the tool to begin")
	held := b.Hold(ToCaller)
	l.free()
	if err := wait(b, l.ended, "the tool to end"); err != nil {
		b.Fatalf("the tool's context ended: %v", err)
	}
	wait(b, held, "the answer to be sent")
	b.Sever()
	a := wait(b, ch, "the call to fail")
	b.want(b.failed(a.res, a.err), false, agent.CodeOutcomeUnknown)
	if total, _ := l.count(); total != 1 {
		b.Errorf("%d executions", total)
	}
}

func lostWithMany(b *bench) {
	const n = 50
	var ran ledger
	began, open := make(chan struct{}, n), make(chan struct{})
	free := sync.OnceFunc(func() { close(open) })
	b.Cleanup(free)
	b.tools(echo(), raw("stay", func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		ran.add(c)
		began <- struct{}{}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-open:
			return &agent.Result{}, nil
		}
	}))
	type outcome struct {
		id string
		answer
	}
	ch := make(chan outcome, n)
	for range n {
		go func() {
			c := b.direct("stay")
			res, err := b.dir.Call(b.ctx(), c)
			ch <- outcome{c.ID, answer{res, err}}
		}()
	}
	for range n / 2 {
		wait(b, began, "half of the calls to begin")
	}
	b.Sever()
	free() // where each call has a connection of its own, one that was about to be sent gets through
	for range n {
		a := wait(b, ch, "every call to end")
		if a.err != nil {
			b.truth(&ran, b.failed(a.res, a.err), a.id)
		} else if runs := ran.of(a.id); runs != 1 {
			b.Errorf("a call that succeeded ran %d times", runs)
		}
	}
}

func lostCancels(b *bench) {
	l := b.newLatch()
	b.tools(l.tool())
	ch := b.start(b.ctx(), "latch", nil)
	wait(b, l.began, "the tool to begin")
	b.Sever()
	wait(b, ch, "the call to fail")
	if err := wait(b, l.ended, "the tool's context to end"); err == nil {
		b.Error("the tool was released by the test")
	}
}

func lostAndBack(b *bench) {
	b.tools(echo())
	for range 3 {
		b.alive()
		b.Sever()
		b.eventually("a new session answers", func() bool {
			b.dir.drop(b.short(), "callee")
			_, err := agent.CallTool(b.ctx(), "callee.echo", nil)
			return err == nil
		})
	}
}

func frozen(b *bench) {
	b.tools(echo())
	b.alive()
	held := b.Hold(ToCaller)
	ctx, cancel := context.WithTimeout(b.ctx(), 500*time.Millisecond)
	defer cancel()
	a := wait(b, b.start(ctx, "echo", nil), "the caller to leave at its deadline")
	if e := b.failed(a.res, a.err); e.Code != agent.CodeDeadlineExceeded || e.NotExecuted {
		b.Errorf("the call ended with %v, NotExecuted %v", e, e.NotExecuted)
	}
	wait(b, held, "the answer to be held")
	b.Sever()
}
