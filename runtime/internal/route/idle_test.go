package route

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// parking keeps instance n of a pool as the runtime does: it parks it when it is idle, and starts
// it again, which takes a time, when it is called.
func parking(ctx context.Context, p *Pool, n int, after, start time.Duration, parked *atomic.Int64,
	fresh func() communicator.Peer) {
	i := p.Instances()[n]
	for {
		called := i.ParkWhenIdle(ctx, nil, after, func() bool { return true })
		if called == nil {
			return
		}
		parked.Add(1)
		select {
		case <-called:
		case <-ctx.Done():
			return
		}
		time.Sleep(start)
		i.Up(fresh())
	}
}

func idlePool(ctx context.Context, n int, after, start time.Duration) (*Pool, *atomic.Int64, *sync.WaitGroup) {
	p, parked, kept := NewPool("a", n), &atomic.Int64{}, &sync.WaitGroup{}
	for k, i := range p.Instances() {
		i.Up(&session{})
		kept.Go(func() {
			parking(ctx, p, k, after, start, parked, func() communicator.Peer { return &session{} })
		})
	}
	return p, parked, kept
}

func read() *agent.Call { return &agent.Call{Op: agent.OpTool, Agent: "a", Name: "read", Attempt: 1} }

// An instance is parked when it was not called for a time, and not before; the next call waits for
// it, however long that takes within its deadline.
func TestIdleInstancesAreParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p, parked, kept := idlePool(ctx, 1, time.Minute, 20*time.Second)
		for range 10 {
			time.Sleep(50 * time.Second)
			if _, err := p.Call(ctx, read()); err != nil {
				t.Fatal(err)
			}
		}
		if parked.Load() != 0 {
			t.Error("parked although it was called")
		}
		time.Sleep(76 * time.Second)
		synctest.Wait()
		i := p.Instances()[0]
		if now := i.Look(); parked.Load() != 1 || now.State != Idle || now.Err != nil || p.Down() != nil {
			t.Errorf("%+v, %v", now, p.Down())
		}
		if _, ok := p.Info().Tool("read"); ok {
			t.Error("nothing was learned in this test")
		}
		began := time.Now()
		if _, err := p.Call(ctx, read()); err != nil || time.Since(began) != 20*time.Second {
			t.Error(err, time.Since(began))
		}
		if i.Look().State != Ready {
			t.Error(i.Look())
		}
		time.Sleep(2 * time.Minute)
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if _, err := p.Call(short, read()); agent.CodeOf(err) != agent.CodeDeadlineExceeded ||
			!agent.AsError(err).NotExecuted {
			t.Error(err)
		}
		cancel()
		kept.Wait()
	})
}

// A call that runs for longer keeps its instance, and so does Awake.
func TestWorkKeepsAnInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p, parked, kept := idlePool(ctx, 1, time.Minute, time.Second)
		p.Instances()[0].Up(&session{call: func(context.Context) error {
			time.Sleep(time.Hour)
			return nil
		}})
		if _, err := p.Call(ctx, read()); err != nil || parked.Load() != 0 {
			t.Error(err, parked.Load())
		}
		time.Sleep(time.Hour)
		began, want := time.Now(), errors.New("as told")
		if err := p.Awake(ctx, func() error { return want }); !errors.Is(err, want) || parked.Load() != 1 ||
			time.Since(began) != time.Second {
			t.Error(err, parked.Load(), time.Since(began))
		}
		if err := p.Awake(ctx, func() error { time.Sleep(time.Hour); return nil }); err != nil ||
			parked.Load() != 1 {
			t.Error(err, parked.Load())
		}
		cancel()
		kept.Wait()
	})
}

// Of several instances one is started for the next call, and another one when that is busy.
func TestInstancesAreStartedAsTheyAreWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p, parked, kept := idlePool(ctx, 3, time.Minute, time.Second)
		time.Sleep(2 * time.Minute)
		up := func() (n int) {
			synctest.Wait()
			for _, i := range p.Instances() {
				if i.Look().State == Ready {
					n++
				}
			}
			return n
		}
		if parked.Load() != 3 || up() != 0 {
			t.Fatal(parked.Load(), up())
		}
		if _, err := p.Call(ctx, read()); err != nil || up() != 1 {
			t.Error(err, up())
		}
		hold := make(chan struct{})
		for _, i := range p.Instances() {
			if i.Session() != nil {
				i.Up(&session{call: func(context.Context) error { <-hold; return nil }})
			}
		}
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() {
				if _, err := p.Call(ctx, read()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		if up() != 2 {
			t.Error(up())
		}
		close(hold)
		calls.Wait()
		cancel()
		kept.Wait()
	})
}

// Calls that come at the moment of parking are not refused. An operator may hold the instance then.
func TestNoCallIsLostWhileAnInstanceIsParked(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, parked, kept := idlePool(ctx, 2, time.Millisecond, 0)
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			for k := range 200 {
				if _, err := p.Call(ctx, read()); err != nil {
					t.Errorf("call %d: %v", k, err)
				}
				pause := time.NewTimer(time.Duration(n) * time.Millisecond)
				<-pause.C
			}
		})
	}
	callers.Wait()
	t.Log(parked.Load(), "times parked")
	i := p.Instances()[0]
	if err := i.Hold(ctx, Restarting, nil); err != nil || i.park() != nil {
		t.Error(err)
	}
	cancel()
	kept.Wait()
}

// What an instance keeps of calls with keys is gone when it is parked: no call is tied to it.
func TestNoCallIsTiedToWhatMayBeParked(t *testing.T) {
	p := NewPool("a", 1)
	p.Forgets = true
	s := &keeping{keeper: "g1"}
	p.Learn(s.Info())
	p.Instances()[0].Up(s)
	if k := p.Info().Keeper; k != "" {
		t.Error(k)
	}
	if p.Instances()[0].park() == nil || p.Info().Keeper != "" || len(p.Info().Tools) != 2 {
		t.Errorf("%+v", p.Info())
	}
}
