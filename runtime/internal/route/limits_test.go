package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

// told is a session that is told of its calls.
type told struct {
	*session
	call func(context.Context, *agent.Call) error
}

func agentOf(name string, call func(context.Context, *agent.Call) error) *told {
	return &told{&session{name: name}, call}
}

func (s *told) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return &agent.Result{}, s.call(ctx, c)
}

// limited is a pool of n instances with sessions that do what call does, and few slots.
func limited(n int, l Limits, call func(context.Context) error) *Pool {
	p := NewPool("a", n)
	d := DefaultLimits()
	if l.Queue == 0 {
		l.Queue = d.Queue
	}
	l.ReadyWait, l.Key = d.ReadyWait, func(name string) string { return "agents.a." + name }
	p.Limit(l, nil, nil)
	for _, i := range p.Instances() {
		i.Up(&session{name: i.ID, call: call})
	}
	return p
}

// So many run at each instance, so many wait, in the order in which they came, and one more is
// refused.
func TestSoManyRunAndSoManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		p := limited(2, Limits{InFlight: 3, Queue: 20}, func(context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return nil
		})
		var mu sync.Mutex
		var order []int
		var all sync.WaitGroup
		for n := range 26 {
			all.Go(func() {
				if _, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "read"}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, n/6)
			})
			synctest.Wait()
		}
		if p.Waiting() != 20 {
			t.Errorf("%d wait", p.Waiting())
		}
		_, err := p.Call(t.Context(), &agent.Call{Agent: "a", Op: agent.OpTool, Name: "read"})
		if e := agent.AsError(err); e.Code != agent.CodeResourceExhausted || !e.NotExecuted || !strings.HasSuffix(
			e.Message, "the queue of agent a is full: 20 of 20 calls wait (agents.a.max_queue), and 3 run at each "+
				"instance (agents.a.max_in_flight)") {
			t.Error(err)
		}
		all.Wait()
		if most.Load() != 6 || !slices.IsSorted(order) || p.Waiting() != 0 {
			t.Errorf("%d ran at once; in the order %v; %d still wait", most.Load(), order, p.Waiting())
		}
		for n := range p.Instances() {
			if left := p.common.running[n].Load(); left != 0 {
				t.Errorf("%d slots were not given back", left)
			}
		}
	})
}

// A session that has ended says nothing about the next one. One that is forgotten as soon as it is
// made is the instance's fault.
func TestTheEndOfASessionOpensNoBreaker(t *testing.T) {
	for gone, opens := range map[error]bool{communicator.ErrEnded: false, communicator.ErrForgotten: true} {
		synctest.Test(t, func(t *testing.T) {
			over := func(context.Context) error { return agent.Refusedf(agent.CodeUnavailable, "%w", gone) }
			p := limited(1, Limits{Breaker: resilience.BreakerPolicy{Ratio: 0.5, Calls: 10, Window: time.Minute,
				Open: time.Minute, Probes: 1}, Patience: time.Minute}, over)
			call := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := p.Call(ctx, &agent.Call{Op: agent.OpTool, Name: "read"})
				return err
			}
			for range 20 { // nobody makes another session
				if err := call(); !errors.Is(err, gone) {
					t.Fatal(err)
				}
			}
			for range 10 {
				done := make(chan error)
				go func() { done <- call() }()
				synctest.Wait()
				p.Instances()[0].Up(&session{call: over})
				<-done
				time.Sleep(time.Millisecond)
			}
			if open := p.Breakers(); (len(open) > 0) != opens {
				t.Errorf("%v: %+v", gone, open)
			}
		})
	}
}

// An agent that somebody has stopped is not at fault for the calls that it is not given, nor for
// those that have waited for it before: who calls it from elsewhere calls it again as soon as it
// was started.
func TestAHaltedAgentOpensNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := NewPool("a", 1)
		limits := DefaultLimits()
		limits.ReadyWait = 5 * time.Second
		far.Limit(limits, nil, nil)
		i := far.Instances()[0]
		breaker := resilience.BreakerPolicy{Ratio: 0.5, Calls: 10, Window: time.Minute, Open: time.Minute, Probes: 1}
		near := limited(1, Limits{Breaker: breaker, Patience: time.Second}, nil)
		near.Instances()[0].Up(agentOf("a", func(ctx context.Context, c *agent.Call) error {
			_, err := far.Call(ctx, c)
			if err == nil {
				return nil
			}
			raw, _ := json.Marshal(agent.AsError(err))
			e := new(agent.Error)
			if err := json.Unmarshal(raw, e); err != nil {
				t.Error(err)
			}
			return e
		}))
		call := func() error {
			_, err := near.Call(t.Context(), &agent.Call{Agent: "a", Op: agent.OpTool, Name: "read"})
			return err
		}
		stopped := func(err error) {
			t.Helper()
			if agent.CodeOf(err) != agent.CodeUnavailable || !strings.Contains(err.Error(), "stopped by openmas stop") {
				t.Error(err)
			}
		}
		var waiting sync.WaitGroup
		for range 20 {
			waiting.Go(func() { stopped(call()) })
		}
		time.Sleep(4 * time.Second)
		i.Down(Stopped, &HaltedError{Start: "openmas start a"})
		waiting.Wait()
		for range 20 {
			stopped(call())
		}
		if open := near.Breakers(); len(open) > 0 {
			t.Errorf("%+v", open)
		}
		i.Up(&session{})
		if err := call(); err != nil {
			t.Error(err)
		}
	})
}

// Who waits does so until its deadline, and says what for.
func TestWaitingEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		p := limited(1, Limits{InFlight: 1}, func(context.Context) error { <-hold; return nil })
		var all sync.WaitGroup
		all.Go(func() { _, _ = p.Call(t.Context(), &agent.Call{}) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		_, err := p.Call(ctx, &agent.Call{Agent: "a", Op: agent.OpTool, Name: "read"})
		if e := agent.AsError(err); e.Code != agent.CodeResourceExhausted || !e.NotExecuted ||
			time.Since(began) != time.Minute || !strings.Contains(e.Message, "agents.a.max_in_flight") {
			t.Error(time.Since(began), err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := p.Call(gone, &agent.Call{}); agent.CodeOf(err) != agent.CodeCanceled {
			t.Error(err)
		}
		close(hold)
		all.Wait()
		if p.Waiting() != 0 || p.common.running[0].Load() != 0 {
			t.Error(p.Waiting(), p.common.running[0].Load())
		}
	})
}

// A calls B, which calls A: the second call to A would wait for the first one's end.
func TestACallTreeTakesOneSlot(t *testing.T) {
	p := limited(1, Limits{InFlight: 1}, nil)
	p.Instances()[0].Up(&session{call: func(ctx context.Context) error {
		if ctx.Value(depth{}) != nil {
			return nil
		}
		_, err := p.Call(context.WithValue(ctx, depth{}, 1), &agent.Call{Path: []string{"x", "a", "b"}})
		return err
	}})
	if _, err := p.Call(t.Context(), &agent.Call{Path: []string{"x"}}); err != nil {
		t.Error(err)
	}
}

type depth struct{}

// A tool with limits of its own does not share those of the others.
func TestAToolsOwnLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 1)
		hold := make(chan struct{})
		p.Limit(DefaultLimits(),
			map[string]Limits{"write": {InFlight: 1, Queue: 5, Apart: true, Key: DefaultLimits().Key}}, nil)
		p.Instances()[0].Up(&session{call: func(context.Context) error { <-hold; return nil }})
		var all sync.WaitGroup
		for range 3 {
			for _, tool := range []string{"read", "write"} {
				all.Go(func() { _, _ = p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: tool}) })
			}
		}
		synctest.Wait()
		if n := p.Instances()[0].InFlight(); n != 4 || p.Waiting() != 2 {
			t.Errorf("%d run, %d wait", n, p.Waiting())
		}
		close(hold)
		all.Wait()
	})
}

// Calls enter at A and at B, and each calls the other one, and so on to the limit of depth. With
// places for all depths together, those that hold all places of A would wait for those that hold
// all of B.
func TestCirclesOfManyTreesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pools := map[string]*Pool{}
		for _, name := range []string{"a", "b", "c"} {
			p := NewPool(name, 1)
			p.Limit(Limits{InFlight: 2, Queue: 1000, ReadyWait: time.Second, Key: DefaultLimits().Key}, nil, nil)
			p.Instances()[0].Up(agentOf(name, func(ctx context.Context, c *agent.Call) error {
				time.Sleep(time.Second)
				if c.Depth == calls.MaxDepth {
					return nil
				}
				next := string('a' + (name[0]-'a'+1)%3)
				_, err := pools[next].Call(ctx, &agent.Call{Agent: next, Depth: c.Depth + 1,
					Path: append(slices.Clone(c.Path), name)})
				return err
			}))
			pools[name] = p
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var all sync.WaitGroup
		for n := range 60 {
			name := string(rune('a' + n%3))
			all.Go(func() {
				if _, err := pools[name].Call(ctx, &agent.Call{Agent: name}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for name, p := range pools {
			if p.Waiting() != 0 {
				t.Errorf("%d wait for %s", p.Waiting(), name)
			}
			for s := p.common.slots; s != nil; s = s.deeper.Load() {
				if left := s.running[0].Load(); left != 0 {
					t.Errorf("%s: %d slots were not given back", name, left)
				}
			}
		}
	})
}

// A call with a key waits for its own instance, and does not keep the slots of others.
func TestKeysWaitForTheirInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		p := limited(2, Limits{InFlight: 1}, func(context.Context) error { <-hold; return nil })
		key := ""
		for n := 0; ; n++ {
			key = strconv.Itoa(n)
			if k, _ := p.byKey(&agent.Call{Key: key}, nil); k == 0 {
				break
			}
		}
		var all sync.WaitGroup
		keyed := func() {
			all.Go(func() {
				if _, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "read", Key: key}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		keyed()
		keyed()
		keyed()
		all.Go(func() { _, _ = p.Call(t.Context(), &agent.Call{}) })
		synctest.Wait()
		if zero, one := p.Instances()[0], p.Instances()[1]; zero.InFlight() != 1 || one.InFlight() != 1 ||
			p.Waiting() != 2 {
			t.Errorf("%d and %d run, %d wait", zero.InFlight(), one.InFlight(), p.Waiting())
		}
		close(hold)
		all.Wait()
		if n := p.Instances()[0].Served(); n != 3 {
			t.Errorf("its instance served %d", n)
		}
	})
}

// An instance that fails gets no more calls while another one works; where all fail, callers are
// told at once.
func TestBreakersOfInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 2)
		l := DefaultLimits()
		l.Breaker = resilience.BreakerPolicy{Ratio: 0.5, Calls: 4, Window: time.Minute, Open: 10 * time.Second,
			Probes: 1}
		var changes []string
		p.Limit(l, nil, func(i *Instance, tool string, now resilience.BreakerLook) {
			changes = append(changes, fmt.Sprint(i.ID, " ", tool, " ", now.State))
		})
		gone := agent.Errorf(agent.CodeInternal, "panic")
		var broken [2]atomic.Bool
		for n, i := range p.Instances() {
			i.Up(&session{call: func(context.Context) error {
				if broken[n].Load() {
					return gone
				}
				return nil
			}})
		}
		call := func(tool string) error {
			_, err := p.Call(t.Context(), &agent.Call{Agent: "a", Op: agent.OpTool, Name: tool})
			return err
		}
		broken[0].Store(true)
		failed := 0
		for range 40 {
			if call("read") != nil {
				failed++
			}
		}
		if failed != 4 || len(p.Breakers()) != 1 {
			t.Errorf("%d calls failed, of %+v", failed, p.Breakers())
		}
		for range 3 {
			_ = call("write") // its breaker is another one
			_ = call("made up")
		}
		broken[1].Store(true)
		for range 40 {
			_ = call("read")
		}
		began := time.Now()
		err := call("read")
		if e := agent.AsError(err); e.Code != agent.CodeUnavailable || !e.NotExecuted ||
			e.RetryAfter != 10*time.Second ||
			!errors.Is(err, resilience.ErrOpen) || time.Since(began) != 0 ||
			resilience.Classify(err, true, true) != resilience.Final {
			t.Errorf("%+v", e)
		}
		if want := "its breaker is open: 4 of 4 calls failed within 1m0s, the last one with internal; it gets calls " +
			"again when 10s have passed (breaker)"; !strings.HasSuffix(err.Error(), want) {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		broken[0].Store(false)
		broken[1].Store(false)
		for range 4 {
			if err := call("read"); err != nil {
				t.Error(err)
			}
		}
		if open := p.Breakers(); len(open) != 0 || len(changes) != 4 {
			t.Errorf("%+v, %q", open, changes)
		}
	})
}

// Whatever comes, waits, leaves and restarts: no more than the limit run at an instance, nobody
// waits while there is a slot, and all slots come back.
func TestSlotsAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running [3]atomic.Int64
		p := limited(3, Limits{InFlight: 2}, nil)
		up := func(n int) {
			p.Instances()[n].Up(&session{call: func(ctx context.Context) error {
				if now := running[n].Add(1); now > 2 {
					t.Errorf("%d run at instance %d", now, n)
				}
				defer running[n].Add(-1)
				select {
				case <-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond):
				case <-ctx.Done():
				}
				return ctx.Err()
			}})
		}
		for n := range 3 {
			up(n)
		}
		var all sync.WaitGroup
		for range 600 {
			all.Go(func() {
				time.Sleep(time.Duration(rand.IntN(20000)) * time.Millisecond)
				c := &agent.Call{Op: agent.OpTool, Name: "read"}
				if rand.IntN(3) == 0 {
					c.Key = strconv.Itoa(rand.IntN(5))
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+rand.IntN(9000))*time.Millisecond)
				defer cancel()
				_, _ = p.Call(ctx, c)
			})
		}
		for range 20 {
			time.Sleep(time.Second)
			n := rand.IntN(3)
			p.Instances()[n].Down(Restarting, errors.New("gone"))
			time.Sleep(100 * time.Millisecond)
			up(n)
			synctest.Wait()
			if free := 6 - int(running[0].Load()+running[1].Load()+running[2].Load()); p.Waiting() > 0 && free > 0 {
				for e := p.common.queue.waiting.Front(); e != nil; e = e.Next() {
					if w := e.Value.(*waiter); w.only < 0 || running[w.only].Load() < 2 {
						t.Errorf("a call waits although %d slots are free", free)
						break
					}
				}
			}
		}
		all.Wait()
		for n := range 3 {
			if left := p.common.running[n].Load(); left != 0 || p.Instances()[n].InFlight() != 0 {
				t.Errorf("instance %d: %d slots were not given back, %d calls", n, left, p.Instances()[n].InFlight())
			}
		}
		if p.Waiting() != 0 {
			t.Errorf("%d still wait", p.Waiting())
		}
	})
}

func BenchmarkPool(b *testing.B) {
	for name, l := range map[string]Limits{"bare": DefaultLimits(), "bulkhead": {InFlight: 64, Queue: 1024},
		"both": {InFlight: 64, Queue: 1024, Breaker: resilience.BreakerPolicy{Ratio: 0.5, Calls: 10,
			Window: 30 * time.Second, Open: 15 * time.Second, Probes: 3}}} {
		b.Run(name, func(b *testing.B) {
			p := NewPool("a", 1)
			p.Limit(l, nil, nil)
			p.Instances()[0].Up(&session{})
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c := &agent.Call{Op: agent.OpTool, Name: "read"}
				for pb.Next() {
					_, _ = p.Call(b.Context(), c)
				}
			})
		})
	}
}
