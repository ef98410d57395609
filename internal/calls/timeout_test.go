package calls_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
)

// slow answers after a while.
type slow time.Duration

func (slow) Notify(context.Context, agent.Notice) {}

func (s slow) Request(ctx context.Context, _ agent.Request) (json.RawMessage, error) {
	select {
	case <-time.After(time.Duration(s)):
		return json.RawMessage("{}"), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func TestTimeStandsStillDuringQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, call, end := calls.Bound(t.Context(), &agent.Call{Back: slow(time.Minute)}, 10*time.Second)
		defer end()
		below, cancel := context.WithCancel(ctx)
		defer cancel()
		time.Sleep(4 * time.Second) // the time of this test is made up
		for range 2 {
			if _, err := call.Back.Request(ctx, agent.Request{}); err != nil {
				t.Fatal(err)
			}
		}
		if at, ok := below.Deadline(); !ok || at.Sub(began) != 2*time.Minute+10*time.Second {
			t.Errorf("the deadline is after %s", at.Sub(began))
		}
		<-below.Done()
		if took := time.Since(began); took != 2*time.Minute+10*time.Second {
			t.Errorf("ended after %s", took)
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(below.Err(), context.DeadlineExceeded) {
			t.Errorf("%v, below %v", ctx.Err(), below.Err())
		}
	})
}

func TestQuestionsAtOnceStopTheTimeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, call, end := calls.Bound(t.Context(), &agent.Call{Back: slow(time.Minute)}, 10*time.Second)
		defer end()
		for i := range 3 {
			go func() {
				<-time.After(time.Duration(i) * time.Second)
				_, _ = call.Back.Request(context.WithoutCancel(ctx), agent.Request{})
			}()
		}
		<-ctx.Done()
		if took := time.Since(began); took != time.Minute+12*time.Second {
			t.Errorf("ended after %s", took)
		}
	})
}

func TestBoundEndsWithItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(t.Context())
		ctx, call, end := calls.Bound(parent, &agent.Call{Back: slow(time.Hour)}, time.Second)
		defer end()
		asked := make(chan error)
		go func() {
			_, err := call.Back.Request(ctx, agent.Request{Kind: "elicit"})
			asked <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-asked; !errors.Is(err, context.Canceled) || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%v %v", err, ctx.Err())
		}
	})
}

func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, call, end := calls.Bound(t.Context(), &agent.Call{Back: slow(time.Hour)}, time.Second)
		defer end()
		began := time.Now()
		_, err := call.Back.Request(ctx, agent.Request{Kind: "elicit"})
		if agent.CodeOf(err) != agent.CodeDeadlineExceeded || time.Since(began) != calls.MaxQuestion {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

// Ending it leaves nothing behind, whatever came of it before.
func TestBoundEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, _, end := calls.Bound(t.Context(), &agent.Call{Back: slow(0)}, time.Second)
		ran := make(chan struct{})
		stop := context.AfterFunc(ctx, func() { close(ran) })
		kept := context.AfterFunc(ctx, func() { t.Error("stopped, and ran") })
		if !kept() || kept() {
			t.Error("stop")
		}
		end()
		end()
		<-ran
		if stop() || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%v", ctx.Err())
		}
		late := make(chan struct{})
		context.AfterFunc(ctx, func() { close(late) })
		<-late
	})
}

// A parent that has ended ends a call while Bound still makes it: the race detector watches.
func TestBoundOfWhatHasEnded(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 1000 {
		for _, parent := range []context.Context{ended, t.Context()} {
			ctx, _, end := calls.Bound(parent, &agent.Call{Back: slow(0)}, 0)
			<-ctx.Done()
			end()
		}
	}
}
