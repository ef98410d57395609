package agent

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
)

// callers is the back-channel to all who wait for one call: see [Results]. All of them are told,
// and the one that has waited longest is asked, then the next, until one can answer.
type callers struct {
	mu      sync.Mutex
	waiting []*caller
}

// A caller is one of them. back may be nil.
type caller struct {
	ctx   context.Context
	back  BackChannel
	using sync.WaitGroup // what is being told or asked
	left  chan struct{}  // closed when it waits no longer; if it was the last, the work is canceled before
}

func (l *callers) add(c *caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, c)
}

// remove takes one out, and reports whether it was the last. What it is being told or asked goes on
// for a moment.
func (l *callers) remove(c *caller) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(other *caller) bool { return other == c })
	return len(l.waiting) == 0
}

// end takes all out.
func (l *callers) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = nil
}

// use returns those with a back-channel whose calls have not ended. using must be given up.
func (l *callers) use() (in []*caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.waiting {
		if c.back != nil && c.ctx.Err() == nil {
			c.using.Add(1)
			in = append(in, c)
		}
	}
	return in
}

// useNext is use of the first that was not asked.
func (l *callers) useNext(asked []*caller) *caller {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.waiting {
		if c.back != nil && c.ctx.Err() == nil && !slices.Contains(asked, c) {
			c.using.Add(1)
			return c
		}
	}
	return nil
}

func (l *callers) Notify(ctx context.Context, n Notice) {
	for _, c := range l.use() {
		c.notify(ctx, n)
	}
}

func (c *caller) notify(ctx context.Context, n Notice) {
	defer c.using.Done()
	c.back.Notify(ctx, n)
}

func (l *callers) Request(ctx context.Context, r Request) (json.RawMessage, error) {
	var asked []*caller
	err := error(Errorf(CodeUnavailable, "nobody to ask: the caller does not answer %q requests", r.Kind))
	for {
		next := l.useNext(asked)
		if next == nil {
			return nil, err
		}
		asked = append(asked, next)
		raw, failed := next.request(ctx, r)
		switch code := CodeOf(failed); {
		case failed == nil || ctx.Err() != nil:
			return raw, failed
		case next.ctx.Err() != nil: // it is about to leave
			select {
			case <-next.left:
			case <-ctx.Done():
			}
		case code == CodeUnavailable || code == CodeCanceled: // it cannot answer, or its end is on its way
		default:
			return nil, failed
		}
		err = failed
	}
}

func (c *caller) request(ctx context.Context, r Request) (json.RawMessage, error) {
	defer c.using.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	return c.back.Request(ctx, r)
}
