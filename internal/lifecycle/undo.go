package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// An Undo list takes back what was started, last first: on a failed start and at the end of a drain
// alike. The zero Undo is empty. It may be added to concurrently.
type Undo struct {
	mu    sync.Mutex
	steps []step
}

type step struct {
	what string
	do   func(context.Context) error
}

// Add notes how to take back what was just started.
func (u *Undo) Add(what string, do func(context.Context) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.steps = append(u.steps, step{what, do})
}

// Empty reports whether there is nothing to take back.
func (u *Undo) Empty() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.steps) == 0
}

// Run takes everything back. A step that fails does not keep the others from running.
func (u *Undo) Run(ctx context.Context) error {
	var errs []error
	for {
		u.mu.Lock()
		if len(u.steps) == 0 {
			u.mu.Unlock()
			return errors.Join(errs...)
		}
		last := u.steps[len(u.steps)-1]
		u.steps = u.steps[:len(u.steps)-1]
		u.mu.Unlock()
		if err := last.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", last.what, err))
		}
	}
}

// Together runs several lists at the same time: those of processes that have nothing to do with
// each other.
func Together(ctx context.Context, lists []*Undo) error {
	errs := make([]error, len(lists))
	var wg sync.WaitGroup
	for n, l := range lists {
		wg.Go(func() { errs[n] = l.Run(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
