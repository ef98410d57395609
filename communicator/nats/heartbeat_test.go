package nats

import (
	"context"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
)

// kill -9 of a callee in the middle of a call, before its first heartbeat and after: the caller
// knows before long, and by name.
func TestCalleeIsKilled(t *testing.T) {
	t.Parallel()
	// longer than the silence that ends a call
	for name, after := range map[string]time.Duration{"at once": 0, "after a while": 2500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := testBroker(t)
			p, _ := spawn(t, "callee", urlVar+"="+b.access.URL+" "+b.access.Token)
			peer := dial(t, process(t, open(t, b.options())), "callee")
			ended := make(chan error, 1)
			go func() {
				_, err := peer.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "hang"})
				ended <- err
			}()
			if line := testkit.Receive(t, p.lines); line != "hanging" {
				t.Fatal(line)
			}
			select {
			case err := <-ended:
				t.Fatalf("it lives, and yet: %v", err)
			case <-time.After(after):
			}
			killed := time.Now()
			p.kill(t)
			err := testkit.Receive(t, ended)
			t.Logf("the caller knew %v after the kill", time.Since(killed).Round(time.Millisecond))
			if e := agent.AsError(err); e.Code != agent.CodeOutcomeUnknown || e.NotExecuted {
				t.Error(err)
			}
			began := time.Now()
			_, err = peer.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "hang"})
			t.Logf("that nobody is there it knew after %v", time.Since(began).Round(time.Microsecond))
			if e := agent.AsError(err); e == nil || e.Code != agent.CodeUnavailable || !e.NotExecuted {
				t.Error(err)
			}
		})
	}
}

// A caller that vanishes ends its calls at the callee.
func TestCallerIsGone(t *testing.T) {
	b := testBroker(t)
	began, ended := make(chan struct{}), make(chan struct{})
	serve(t, process(t, open(t, b.options())), "callee", func(ctx context.Context, _ *agent.Call) (*agent.Result,
		error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	caller := open(t, b.options())
	peer := dial(t, process(t, caller), "callee")
	failed := make(chan error, 1)
	go func() {
		_, err := peer.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
		failed <- err
	}()
	testkit.Receive(t, began)
	caller.nc.Close()
	testkit.Receive(t, ended)
	if err := testkit.Receive(t, failed); agent.CodeOf(err) != agent.CodeOutcomeUnknown {
		t.Error(err)
	}
}
