package nats

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/testkit/drivertest"
)

// Ten thousand callers of one slow agent: what fits runs or waits, the rest is refused, the memory
// for it is bounded, and nobody is forgotten.
func TestSlowAgent(t *testing.T) {
	b := testBroker(t)
	c, err := pubsub.New(open(t, b.options()), pubsub.Options{Project: "test", MaxInFlight: 4, Queue: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	release := make(chan struct{})
	serve(t, c, "callee", func(context.Context, *agent.Call) (*agent.Result, error) {
		<-release
		return &agent.Result{}, nil
	})
	p := dial(t, process(t, open(t, b.options())), "callee")
	const calls = 10_000
	input := json.RawMessage(`"` + strings.Repeat("x", 10_000) + `"`)
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var refused, all sync.WaitGroup
	var ok, exhausted atomic.Int32
	bad := make(chan struct{})
	failed := sync.OnceFunc(func() { close(bad) })
	refused.Add(calls - 104)
	for range calls {
		all.Go(func() {
			_, err := p.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x",
				Input: input})
			switch e := agent.AsError(err); {
			case e == nil:
				ok.Add(1)
			case e.Code == agent.CodeResourceExhausted && e.NotExecuted:
				exhausted.Add(1)
				refused.Done()
			default:
				t.Error(err)
				failed()
			}
		})
	}
	done := make(chan struct{})
	go func() { refused.Wait(); close(done) }()
	select {
	case <-done:
	case <-bad:
		close(release)
		all.Wait()
		t.FailNow()
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	grown := int64(during.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d calls of 10 kB at a slow agent: %d kB more on the heap, the broker included", calls, grown/1000)
	if grown > 100_000_000 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	close(release)
	all.Wait()
	if ok.Load() != 104 || exhausted.Load() != calls-104 {
		t.Errorf("%d ok, %d refused", ok.Load(), exhausted.Load())
	}
}

// Best-effort events: each agent gets one of each, in one of its processes.
func TestEvents(t *testing.T) {
	b := testBroker(t)
	var hubs [2]*pubsub.Events
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range hubs {
		e, err := pubsub.NewEvents(open(t, b.options()),
			pubsub.EventsOptions{Project: "test", Backoff: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		hubs[i] = e
		running.Go(func() {
			if err := e.Run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	drivertest.EachGroupOnce(t, hubs[0], hubs[1])
}
