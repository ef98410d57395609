package resilience

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
)

func TestBudgetBoundsRetriesAndServesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 40
		b := NewBudget(DefaultBudgetPolicy())
		var mu sync.Mutex
		most, retries := 0, 0
		peer := agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			time.Sleep(100 * time.Millisecond) // in the bubble's time
			if c.Attempt <= 1 {
				return nil, refused
			}
			mu.Lock()
			defer mu.Unlock()
			most, retries = max(most, b.Use().Retries), retries+1
			return &agent.Result{}, nil
		})
		r := newRetrier(Policy{Attempts: 2, Backoff: backoff.Policy{Initial: 1, Multiplier: 1, Max: 10 * time.Second}},
			Options{Budget: b}, peer)
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				if _, err := r.Call(t.Context(), &agent.Call{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most != 3 || retries != callers {
			t.Errorf("%d retries at once, %d in all: want 3 and %d", most, retries, callers)
		}
		if u := b.Use(); u != (BudgetUse{}) {
			t.Errorf("left in use: %+v", u)
		}
	})
}

func TestBudgetGrowsWithWhatIsInFlight(t *testing.T) {
	b := NewBudget(BudgetPolicy{Ratio: 0.2, Least: 3})
	for range 100 {
		b.begin()
	}
	n := 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no waiting
	for b.turn(ctx, time.Hour) {
		n++
	}
	if n != 20 {
		t.Errorf("%d turns, want 20", n)
	}
}

func TestBudgetRefusesWhenNobodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(BudgetPolicy{Least: 1})
		_, release, ok := b.acquire(t.Context(), time.Second)
		if !ok {
			t.Fatal("no turn in an empty budget")
		}
		s := &script{errs: []error{refused}}
		began := time.Now()
		_, err := newRetrier(growing, Options{Budget: b}, s).Call(t.Context(), &agent.Call{})
		if took := time.Since(began); took != growing.Backoff.Initial+growing.Backoff.Max {
			t.Errorf("it waited for %v", took)
		}
		if e := agent.AsError(err); len(s.calls) != 1 || e.Code != agent.CodeUnavailable ||
			!strings.Contains(e.Message, "no retry budget") {
			t.Errorf("%d attempts, %v", len(s.calls), err)
		}
		release()
		if u := b.Use(); u != (BudgetUse{}) {
			t.Errorf("left in use: %+v", u)
		}
	})
}

// Were the call below to wait for a turn of its own, it would wait for its caller, which waits for
// it.
func TestBudgetIsNotTakenTwiceByOneCallTree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(BudgetPolicy{Least: 1})
		below := newRetrier(growing, Options{Budget: b}, &script{errs: []error{refused}})
		twice := growing
		twice.Attempts = 2
		above := newRetrier(twice, Options{Budget: b},
			agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
				if c.Attempt <= 1 {
					return nil, refused
				}
				return below.Call(ctx, &agent.Call{})
			}))
		if _, err := above.Call(t.Context(), &agent.Call{}); err != nil {
			t.Error(err)
		}
	})
}

func TestBudgetSurvivesAPanic(t *testing.T) {
	b := NewBudget(DefaultBudgetPolicy())
	r := newRetrier(Policy{Attempts: 2, Backoff: backoff.Policy{Initial: 1, Multiplier: 1, Max: 1}}, Options{Budget: b},
		agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			if c.Attempt == 2 {
				panic("boom")
			}
			return nil, refused
		}))
	func() {
		defer func() { _ = recover() }()
		_, _ = r.Call(t.Context(), &agent.Call{})
		t.Error("no panic")
	}()
	if u := b.Use(); u != (BudgetUse{}) {
		t.Errorf("left in use: %+v", u)
	}
}

// So many wait for their turn, in the order in which they came; one more is refused at once, and
// who gives up makes room.
func TestOnlySoManyWaitForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(BudgetPolicy{Least: 1})
		if !b.turn(t.Context(), time.Hour) {
			t.Fatal("no turn in an empty budget")
		}
		var mu sync.Mutex
		var came []int
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		var all sync.WaitGroup
		for n := range maxWaiting {
			all.Go(func() {
				ctx := ctx
				if n > 0 {
					ctx = t.Context()
				}
				if b.turn(ctx, time.Hour) {
					mu.Lock()
					came = append(came, n)
					mu.Unlock()
					b.release()
				}
			})
			synctest.Wait()
		}
		began := time.Now()
		if b.turn(t.Context(), time.Hour) || time.Since(began) != 0 {
			t.Errorf("one more waited for %v", time.Since(began))
		}
		leave()
		synctest.Wait()
		if u := b.Use(); u.Waiting != maxWaiting-1 || u.Retries != 1 {
			t.Errorf("when one has left: %+v", u)
		}
		all.Go(func() {
			if b.turn(t.Context(), time.Hour) {
				mu.Lock()
				came = append(came, maxWaiting)
				mu.Unlock()
				b.release()
			}
		})
		synctest.Wait()
		b.release()
		all.Wait()
		if len(came) != maxWaiting || !slices.IsSorted(came) {
			t.Errorf("%d turns came, in order: %v", len(came), slices.IsSorted(came))
		}
		if u := b.Use(); u != (BudgetUse{}) {
			t.Errorf("left in use: %+v", u)
		}
	})
}

// Each attempt counts as long as it is made, a retry as one too.
func TestAttemptsAreInFlight(t *testing.T) {
	b := NewBudget(DefaultBudgetPolicy())
	var seen []BudgetUse
	r := newRetrier(Policy{Attempts: 2, Backoff: backoff.Policy{Initial: 1, Multiplier: 1, Max: 1}}, Options{Budget: b},
		agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) {
			seen = append(seen, b.Use())
			return nil, refused
		}))
	_, _ = r.Call(t.Context(), &agent.Call{})
	if want := []BudgetUse{{InFlight: 1}, {InFlight: 1, Retries: 1}}; !slices.Equal(seen, want) {
		t.Errorf("in use were %+v, want %+v", seen, want)
	}
}

// A turn that comes at the moment when somebody stops to wait for it is not lost, and a call that
// has ended is not made again.
func TestATurnThatComesAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(BudgetPolicy{Least: 1})
		for range 1000 {
			if !b.turn(t.Context(), time.Hour) {
				t.Fatal("a turn was lost")
			}
			ctx, cancel := context.WithCancel(t.Context())
			s := &script{errs: []error{refused}}
			var waiter sync.WaitGroup
			waiter.Go(func() {
				_, err := newRetrier(growing, Options{Budget: b}, s).Call(ctx, &agent.Call{})
				if err == nil || len(s.calls) != 1 {
					t.Errorf("%v after %d attempts", err, len(s.calls))
				}
			})
			time.Sleep(growing.Backoff.Initial + 1)
			synctest.Wait()
			if b.Use().Waiting != 1 {
				t.Fatal("it does not wait for its turn")
			}
			cancel()
			b.release()
			waiter.Wait()
			if u := b.Use(); u != (BudgetUse{}) {
				t.Fatalf("left in use: %+v", u)
			}
		}
	})
}
