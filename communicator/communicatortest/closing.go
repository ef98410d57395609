package communicatortest

import (
	"context"
	"slices"
	"sync"

	"github.com/openmas/openmas/agent"
)

// closing: calls in flight are answered, new ones are refused, and no goroutine stays behind, which
// every subtest checks.
func closing() []test {
	return []test{
		{"a binding with a call in flight", nil, closeBinding},
		{"a binding whose call does not end", nil, closeBindingTimeout},
		{"a name served again", nil, serveAgain},
		{"a name that is taken", nil, nameTaken},
		{"a name that is none", nil, badName},
		{"one of two agents", nil, closeOneOfTwo},
		{"a peer with a call in flight", nil, closePeer},
		{"one of two peers", nil, closeOnePeer},
		{"the communicator with a call in flight", nil, closeCommunicator},
		{"the caller's end with a call in flight", nil, closeCaller},
		{"everything twice and at once", nil, closeTwice},
		{"after the communicator was closed", nil, afterClose},
	}
}

// busy serves a latch and an echo, with a call of the latch in flight.
func (b *bench) busy() (l *latch, inFlight <-chan answer, closeBinding func(context.Context) error) {
	l = b.newLatch()
	binding := b.tools(echo(), l.tool())
	b.alive()
	inFlight = b.start(b.ctx(), "latch", nil)
	wait(b, l.began, "the call to be in flight")
	return l, inFlight, binding.Close
}

// refused waits until a new call is refused, for certain not executed. What it tries before may end
// with one of the codes: where the connection goes away, a call may cross with that on the wire.
func (b *bench) refused(crossed ...agent.Code) {
	b.Helper()
	b.eventually("new calls are refused", func() bool {
		res, err := agent.CallTool(b.ctx(), "callee.echo", nil)
		if err == nil || slices.Contains(crossed, agent.CodeOf(err)) {
			return false
		}
		b.want(b.failed(res, err), true, agent.CodeUnavailable, agent.CodeNotFound)
		return true
	})
}

// released ends the call in flight and expects its answer.
func (b *bench) released(l *latch, inFlight <-chan answer) {
	b.Helper()
	select {
	case a := <-inFlight:
		b.Fatalf("the call in flight was not waited for: %v", a)
	default:
	}
	l.free()
	if a := wait(b, inFlight, "the call in flight"); a.err != nil || a.res.Text() != "released" {
		b.Errorf("the call in flight gave %v", a)
	}
}

func background(b *bench, f func(context.Context) error) <-chan error {
	ch := make(chan error, 1)
	ctx := b.short()
	go func() { ch <- f(ctx) }()
	return ch
}

func closeBinding(b *bench) {
	l, inFlight, closeIt := b.busy()
	closed := background(b, closeIt)
	b.refused()
	select {
	case err := <-closed:
		b.Fatalf("Close returned %v with a call in flight", err)
	default:
	}
	b.released(l, inFlight)
	if err := wait(b, closed, "Close"); err != nil {
		b.Errorf("Close: %v", err)
	}
	b.dir.drop(b.short(), "callee")
	b.refused()
}

func closeBindingTimeout(b *bench) {
	l, inFlight, closeIt := b.busy()
	ctx, cancel := context.WithCancel(b.short())
	cancel()
	if err := closeIt(ctx); err == nil {
		b.Error("Close gave no error, although its context ended and a call was in flight")
	}
	b.refused()
	l.free() // a communicator that can has cancelled it: then it is no success
	if a := wait(b, inFlight, "the call in flight"); a.err == nil && a.res.Text() != "released" {
		b.Errorf("the call in flight gave %v", a)
	} else if a.err != nil && b.failed(a.res, a.err).NotExecuted {
		b.Errorf("the call in flight ran: %v", a.err)
	}
	if err := closeIt(b.short()); err != nil {
		b.Errorf("Close again, with nothing in flight: %v", err)
	}
}

func serveAgain(b *bench) {
	binding := b.tools(echo())
	for range 3 {
		b.alive()
		if err := binding.Close(b.short()); err != nil {
			b.Fatalf("Close: %v", err)
		}
		b.refused()
		binding = b.tools(echo())
		b.dir.drop(b.short(), "callee")
	}
	b.alive()
}

func nameTaken(b *bench) {
	b.tools(echo())
	h, err := agent.NewHost(agent.Env{Name: "callee"}, agent.Capabilities{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.Communicator.Serve(b.short(), h); err == nil {
		b.Error("a second agent of one name was accepted")
	}
	b.alive()
}

func badName(b *bench) {
	if _, err := b.Communicator.Serve(b.short(), nameless{}); err == nil {
		b.Error("an agent without a proper name was accepted")
	}
}

type nameless struct{ agent.Caller }

func (nameless) Info() agent.Info { return agent.Info{Name: "No.Name"} }

func closeOneOfTwo(b *bench) {
	other := b.serve("other", agent.Capabilities{Tools: []agent.Tool{echo()}})
	b.tools(echo())
	if _, err := agent.CallTool(b.ctx(), "other.echo", nil); err != nil {
		b.Fatal(err)
	}
	b.alive()
	if err := other.Close(b.short()); err != nil {
		b.Fatal(err)
	}
	b.alive()
}

func closePeer(b *bench) {
	l, inFlight, _ := b.busy()
	p, err := b.dir.peer(b.short(), "callee")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.short())
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- p.Close(ctx) }()
	b.refused(agent.CodeOutcomeUnknown)
	if err := wait(b, closed, "Close of the peer"); err != nil {
		b.Errorf("Close: %v", err)
	}
	l.free()
	a := wait(b, inFlight, "the call in flight")
	if a.err != nil {
		b.want(b.failed(a.res, a.err), false, agent.CodeOutcomeUnknown)
	} else if a.res.Text() != "released" {
		b.Errorf("the call in flight gave %v", a)
	}
	b.dir.drop(b.short(), "callee")
	b.alive()
}

func closeOnePeer(b *bench) {
	b.tools(echo())
	b.alive()
	p, err := b.Caller.Dial(b.short(), "callee")
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Close(b.short()); err != nil {
		b.Errorf("Close: %v", err)
	}
	b.alive()
}

func closeCommunicator(b *bench) {
	l, inFlight, _ := b.busy()
	closed := background(b, b.Communicator.Close)
	b.refused()
	b.released(l, inFlight)
	if err := wait(b, closed, "Close of the communicator"); err != nil {
		b.Errorf("Close: %v", err)
	}
}

// Closing the end that dials may lose the answer. Then the error is true.
func closeCaller(b *bench) {
	l, inFlight, _ := b.busy()
	closed := background(b, b.Caller.Close)
	b.refused(agent.CodeOutcomeUnknown)
	l.free()
	if err := wait(b, closed, "Close of the caller's end"); err != nil {
		b.Errorf("Close: %v", err)
	}
	if a := wait(b, inFlight, "the call in flight"); a.err != nil {
		b.want(b.failed(a.res, a.err), false, agent.CodeOutcomeUnknown)
	} else if a.res.Text() != "released" {
		b.Errorf("the call in flight gave %v", a)
	}
	b.dir.drop(b.short(), "callee")
	b.refused()
}

func closeTwice(b *bench) {
	binding := b.tools(echo())
	b.alive()
	p, err := b.dir.peer(b.short(), "callee")
	if err != nil {
		b.Fatal(err)
	}
	for what, closeIt := range map[string]func(context.Context) error{"peer": p.Close, "binding": binding.Close} {
		b.atOnce(what, closeIt)
	}
	b.atOnce("communicator", b.Communicator.Close)
}

func (b *bench) atOnce(what string, closeIt func(context.Context) error) {
	b.Helper()
	ctx := b.short()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2 {
				if err := closeIt(ctx); err != nil {
					b.Errorf("Close of the %s: %v", what, err)
				}
			}
		})
	}
	wg.Wait()
}

func afterClose(b *bench) {
	b.tools(echo())
	b.alive()
	if err := b.Communicator.Close(b.short()); err != nil {
		b.Fatal(err)
	}
	b.refused(agent.CodeOutcomeUnknown)
	b.dir.drop(b.short(), "callee")
	b.refused()
	h, err := agent.NewHost(agent.Env{Name: "late"}, agent.Capabilities{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := b.Communicator.Serve(b.short(), h); err == nil {
		b.Error("a closed communicator serves")
	}
}
