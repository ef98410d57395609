package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// An undo list takes back what was started, last first: on a failed start and at the end of a drain
// alike. It may be added to concurrently.
type undo struct {
	mu    sync.Mutex
	steps []step
}

type step struct {
	what string
	do   func(context.Context) error
}

// add notes how to take back what was just started.
func (u *undo) add(what string, do func(context.Context) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.steps = append(u.steps, step{what, do})
}

// run takes everything back. A step that fails does not keep the others from running.
func (u *undo) run(ctx context.Context) error {
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

// together runs several lists at the same time: those of processes that have nothing to do with
// each other.
func together(ctx context.Context, lists []*undo) error {
	errs := make([]error, len(lists))
	var wg sync.WaitGroup
	for n, l := range lists {
		wg.Go(func() { errs[n] = l.run(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
