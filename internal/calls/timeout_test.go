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

// Nobody has to wait for the end to learn of it, and who begins to wait after it does not wait.
func TestBoundThatNobodyWaitsFor(t *testing.T) {
	why := errors.New("why")
	for name, c := range map[string]struct {
		end         func(cancelParent context.CancelCauseFunc, end func())
		back        agent.BackChannel
		want, cause error
	}{
		"timeout": {func(context.CancelCauseFunc, func()) { time.Sleep(time.Second) }, nil, context.DeadlineExceeded,
			context.DeadlineExceeded},
		"timeout of who can be asked": {func(context.CancelCauseFunc, func()) { time.Sleep(time.Second) }, slow(0),
			context.DeadlineExceeded, context.DeadlineExceeded},
		"parent": {func(cancel context.CancelCauseFunc, _ func()) { cancel(why) }, nil, context.Canceled, why},
		"end":    {func(_ context.CancelCauseFunc, end func()) { end() }, nil, context.Canceled, context.Canceled},
	} {
		for _, waits := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				ctx, _, end := calls.Bound(parent, &agent.Call{Back: c.back}, time.Second)
				defer end()
				if err := ctx.Err(); err != nil {
					t.Fatalf("%s: %v at once", name, err)
				}
				if waits {
					below, stop := context.WithCancel(ctx)
					defer stop()
					defer func() {
						if !errors.Is(below.Err(), c.want) {
							t.Errorf("%s: below %v", name, below.Err())
						}
					}()
				}
				c.end(cancel, end)
				synctest.Wait()
				select {
				case <-ctx.Done():
				default:
					t.Errorf("%s, waits %v: it has ended, and is not done", name, waits)
				}
				if err := ctx.Err(); !errors.Is(err, c.want) || !errors.Is(context.Cause(ctx), c.cause) {
					t.Errorf("%s, waits %v: %v, %v", name, waits, err, context.Cause(ctx))
				}
			})
		}
	}
}

// The time is up when the question is asked: it does not go on after the answer, for anybody.
func TestQuestionAfterTheTime(t *testing.T) {
	for _, waits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, call, end := calls.Bound(t.Context(), &agent.Call{Back: slow(time.Minute)}, time.Second)
			defer end()
			if waits {
				_ = ctx.Done()
			}
			time.Sleep(time.Second)
			_, err := call.Back.Request(ctx, agent.Request{})
			synctest.Wait()
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				t.Errorf("waits %v: %v, %v", waits, err, ctx.Err())
			}
			<-ctx.Done()
		})
	}
}

func TestBoundCostsLittleWhereNobodyWaits(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, call := range []*agent.Call{{}, {Back: slow(0)}} {
		if n := testing.AllocsPerRun(100, func() {
			ctx, _, end := calls.Bound(parent, call, time.Second)
			_ = ctx.Err()
			end()
		}); n > 2 {
			t.Errorf("%v allocations", n)
		}
	}
	ctx, _, end := calls.Bound(parent, &agent.Call{}, time.Hour)
	defer end()
	if n := testing.AllocsPerRun(100, func() {
		_, stop := context.WithCancel(ctx)
		stop()
	}); n > 2 {
		t.Errorf("%v allocations for each context that is made of it", n)
	}
}
