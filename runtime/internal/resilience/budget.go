package resilience

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// maxWaiting bounds the calls that wait for a turn to retry; beyond it a call that failed is not
// retried.
const maxWaiting = 1024

// A BudgetPolicy bounds the retries that run at the same time.
type BudgetPolicy struct {
	// Ratio is the part of the attempts in flight that may be retries, from 0 to 1.
	Ratio float64
	// Least is how many retries may run however little is in flight, at least 1.
	Least int
}

// DefaultBudgetPolicy is 20 % of what is in flight, and at least 3.
func DefaultBudgetPolicy() BudgetPolicy { return BudgetPolicy{Ratio: 0.2, Least: 3} }

// A Budget bounds the retries of everyone who shares it, so that a callee in trouble gets little
// more load than it had. A retry beyond the budget is not dropped: it waits for its turn, first
// come, first served, as long as the call has time. Safe for concurrent use; a nil *Budget does not
// bound.
type Budget struct {
	policy   BudgetPolicy
	inFlight atomic.Int64 // attempts being made, retries among them

	mu      sync.Mutex
	retries int
	waiting list.List // of chan struct{}, closed when its turn has come
}

// NewBudget makes a budget. The policy has to be valid; one that is not gets its nearest sane
// values.
func NewBudget(p BudgetPolicy) *Budget {
	if !(p.Ratio >= 0) {
		p.Ratio = 0
	}
	return &Budget{policy: BudgetPolicy{Ratio: min(p.Ratio, 1), Least: max(p.Least, 1)}}
}

// A BudgetUse is what a budget is used for at the moment.
type BudgetUse struct {
	InFlight int // attempts being made
	Retries  int // of them, retries
	Waiting  int // retries that wait for their turn
}

// Use returns how much of the budget is used.
func (b *Budget) Use() BudgetUse {
	if b == nil {
		return BudgetUse{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return BudgetUse{InFlight: int(b.inFlight.Load()), Retries: b.retries, Waiting: b.waiting.Len()}
}

func (b *Budget) begin() {
	if b != nil {
		b.inFlight.Add(1)
	}
}

func (b *Budget) end() {
	if b != nil {
		b.inFlight.Add(-1)
	}
}

type budgetKey struct{}

// acquire waits for the turn to retry, at most for limit; false: there was none. The context it
// returns is the one to retry in; release ends the turn.
//
// A call within a retry shares that one's turn: were it to wait for its own, all turns could be
// held by calls that wait for calls below them.
func (b *Budget) acquire(ctx context.Context, limit time.Duration) (_ context.Context, release func(), ok bool) {
	if b == nil || ctx.Value(budgetKey{}) == b {
		return ctx, func() {}, true
	}
	if !b.turn(ctx, limit) {
		return ctx, nil, false
	}
	return context.WithValue(ctx, budgetKey{}, b), b.release, true
}

func (b *Budget) turn(ctx context.Context, limit time.Duration) bool {
	b.mu.Lock()
	if b.waiting.Len() == 0 && b.retries < b.most() {
		b.retries++
		b.mu.Unlock()
		return true
	}
	if b.waiting.Len() >= maxWaiting {
		b.mu.Unlock()
		return false
	}
	come := make(chan struct{})
	place := b.waiting.PushBack(come)
	b.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-come:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-come: // it came at the last moment
		return true
	default:
		b.waiting.Remove(place)
		return false
	}
}

func (b *Budget) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retries--
	// Someone holds a turn whenever someone waits, since most is never 0: no one waits for ever.
	for b.waiting.Len() > 0 && b.retries < b.most() {
		b.retries++
		close(b.waiting.Remove(b.waiting.Front()).(chan struct{}))
	}
}

func (b *Budget) most() int {
	return max(b.policy.Least, int(b.policy.Ratio*float64(b.inFlight.Load())))
}
