package pubsub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/testkit"
)

func TestThousandConcurrentCalls(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		var now, most atomic.Int32
		_, p := pair(t, d, Options{}, func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			runtime.Gosched()
			now.Add(-1)
			return &agent.Result{Structured: c.Input}, nil
		})
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				in := fmt.Sprint(i)
				res, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x",
					Input: json.RawMessage(in)})
				if err != nil || string(res.Structured) != in {
					t.Errorf("%s: %v %v", in, res, err)
				}
			})
		}
		wg.Wait()
		if m := most.Load(); m > 64 {
			t.Fatalf("%d calls ran at once", m)
		}
	})
}

// A slow agent with ten thousand callers: what fits runs or waits, the rest is refused at once, the
// memory for it is bounded, and nobody is forgotten.
func TestSlowAgent(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		release := make(chan struct{})
		var ran atomic.Int32
		_, p := pair(t, d, Options{MaxInFlight: 4, Queue: 100},
			func(_ context.Context, c *agent.Call) (*agent.Result, error) {
				<-release
				ran.Add(1)
				return nil, nil
			})
		const calls = 10_000
		var before, during runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		input := json.RawMessage(`"` + strings.Repeat("x", 10_000) + `"`)
		var refused, done sync.WaitGroup
		var ok, exhausted atomic.Int32
		refused.Add(calls - 104)
		for range calls {
			done.Go(func() {
				_, err := p.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x",
					Input: input})
				code, not := refusal(err)
				switch {
				case err == nil:
					ok.Add(1)
				case code == agent.CodeResourceExhausted && not:
					exhausted.Add(1)
					refused.Done()
				default:
					t.Error(err)
				}
			})
		}
		refused.Wait()
		runtime.GC()
		runtime.ReadMemStats(&during)
		grown := int64(during.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("%d calls of 10 kB at a slow agent: %d kB more on the heap", calls, grown/1000)
		if grown > 40_000_000 { // all of them would be 100 MB, twice
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		close(release)
		done.Wait()
		if ok.Load() != 104 || exhausted.Load() != calls-104 || ran.Load() != 104 {
			t.Fatalf("%d ok, %d refused, %d ran", ok.Load(), exhausted.Load(), ran.Load())
		}
	})
}

// Calls whose callers gave up make room in the queue and never run.
func TestCanceledWhileWaiting(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	release, began := make(chan struct{}), make(chan string, 10)
	callee, p := pair(t, d, Options{MaxInFlight: 1, Queue: 1},
		func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			if came := calls.ArrivedBy(ctx); (came != nil && came.Queued > 0) != (c.Name == "last") {
				t.Errorf("%s came with %v", c.Name, came)
			}
			began <- c.Name
			<-release
			return nil, nil
		})
	call := func(ctx context.Context, name string) error {
		_, err := p.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "callee", Name: name})
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { call(context.Background(), "first") })
	testkit.Receive(t, began)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := call(ctx, "gives up"); agent.CodeOf(err) != agent.CodeDeadlineExceeded {
		t.Fatal(err)
	}
	last := make(chan error)
	go func() { last <- call(context.Background(), "last") }()
	testkit.Eventually(t, "the last call waits", func() bool {
		b := callee.(*binding)
		b.calls.mu.Lock()
		defer b.calls.mu.Unlock()
		return b.calls.waiting.Len() == 1
	})
	close(release)
	if err := testkit.Receive(t, last); err != nil {
		t.Fatal(err)
	}
	if name := testkit.Receive(t, began); name != "last" {
		t.Fatal(name)
	}
	wg.Wait()
}

func TestDrain(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		release, began := make(chan struct{}), make(chan struct{}, 100)
		b, p := pair(t, d, Options{MaxInFlight: 2}, func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			began <- struct{}{}
			<-release
			return agent.TextResult("done"), nil
		})
		call := func(timeout time.Duration) error {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			_, err := p.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
			return err
		}
		results := make(chan error, 10)
		for range 2 {
			go func() { results <- call(time.Minute) }()
			testkit.Receive(t, began)
		}
		closing := make(chan error)
		go func() { closing <- b.Close(context.Background()) }()
		for { // new calls are refused while it waits
			if code, not := refusal(call(10 * time.Millisecond)); code == agent.CodeUnavailable && not {
				break
			}
		}
		close(release)
		for range 2 {
			if err := testkit.Receive(t, results); err != nil {
				t.Fatal(err)
			}
		}
		if err := testkit.Receive(t, closing); err != nil {
			t.Fatal(err)
		}
	})
}

// When draining takes too long, what waits is refused and what runs is cancelled.
func TestDrainTooLong(t *testing.T) {
	d := NewMemory(MemoryOptions{})
	defer d.Close()
	began := make(chan struct{}, 1)
	b, p := pair(t, d, Options{MaxInFlight: 1}, func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	results := make(chan error, 2)
	call := func() {
		_, err := p.Call(context.Background(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
		results <- err
	}
	go call()
	testkit.Receive(t, began)
	go call()
	for w := b.(*binding); ; runtime.Gosched() {
		w.calls.mu.Lock()
		n := w.calls.waiting.Len()
		w.calls.mu.Unlock()
		if n == 1 {
			break
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := b.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	codes := map[agent.Code]bool{}
	for range 2 {
		code, not := refusal(testkit.Receive(t, results))
		codes[code] = not
	}
	if not, ok := codes[agent.CodeUnavailable]; !ok || !not {
		t.Fatal(codes)
	}
	if not, ok := codes[agent.CodeCanceled]; !ok || not {
		t.Fatal(codes)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Two processes serve one agent: calls are shared, and one that leaves takes none with it.
func TestReplicas(t *testing.T) {
	drivers(t, func(t *testing.T, d Driver) {
		var counts [2]atomic.Int32
		var first interface{ Close(context.Context) error }
		for i := range counts {
			b := serve(t, process(t, d, Options{}),
				service{"callee", func(context.Context, *agent.Call) (*agent.Result, error) {
					counts[i].Add(1)
					return nil, nil
				}})
			if i == 0 {
				first = b
			}
		}
		p := dial(t, process(t, d, Options{}), "callee")
		call := func() error {
			_, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "callee", Name: "x"})
			return err
		}
		for range 100 {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
		if counts[0].Load() == 0 || counts[1].Load() == 0 {
			t.Fatal(counts[0].Load(), counts[1].Load())
		}
		if err := first.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
