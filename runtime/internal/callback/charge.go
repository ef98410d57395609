package callback

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
)

// Charge places c, a call that the program of the name makes, in the tree of calls: below the call
// that it serves and whose span c names; where c names none, below the deepest of those that it
// serves, and with the latest of their deadlines. What is returned takes the place of ctx and c,
// and end must be called. A call that belongs to one which was given up is refused, and cut when
// that is given up later. Where the program serves nothing, c is an entry call and stays as it is.
func (s *Served) Charge(ctx context.Context, name string, c *agent.Call) (_ context.Context, _ *agent.Call,
	end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	above, gone := s.find(spanOf(c))
	switch {
	case gone != nil:
		return nil, nil, nil, gone.refuse(c)
	case len(above) == 0:
		return ctx, c, func() {}, nil
	}
	deepest := slices.MaxFunc(above, func(a, b *served) int { return cmp.Compare(a.call.Depth, b.call.Depth) })
	own, root := *c, deepest.call
	own.Root, own.Depth, own.Budget = cmp.Or(root.Root, root.ID), root.Depth+1, root.Budget
	own.Path = append(root.Path[:len(root.Path):len(root.Path)], name)

	ctx, cancel := context.WithCancelCause(ctx)
	release := func() { cancel(nil) }
	if at, ok := latest(above); ok {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, at)
		release = func() { stop(); cancel(nil) }
	}
	b := &belonging{open: len(above), cut: func(why agent.Code) {
		cancel(agent.Errorf(why, "the call that it belongs to was given up"))
	}}
	for _, a := range above {
		a.below = append(a.below, b)
	}
	return ctx, &own, func() {
		release()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range above {
			if i := slices.Index(a.below, b); i >= 0 {
				a.below = slices.Delete(a.below, i, i+1)
			}
		}
	}, nil
}

// find returns the calls that one which names a span may belong to, or the one that it belongs to
// and that was given up. Neither: it is an entry call.
func (s *Served) find(named span) ([]*served, *givenUp) {
	now := time.Now()
	if named.id != "" {
		if open := s.which(func(of span) bool { return of == named }); len(open) > 0 {
			return open, nil
		}
		if gone := s.gone(now.Add(-remembered), func(of span) bool { return of == named }); gone != nil {
			return nil, gone
		}
		// A program that traces itself names a span of its own, in the same trace.
		if open := s.which(func(of span) bool { return of.trace == named.trace }); len(open) > 0 {
			return open, nil
		}
		if gone := s.gone(now.Add(-remembered), func(of span) bool { return of.trace == named.trace }); gone != nil {
			return nil, gone
		}
	}
	if open := s.which(func(span) bool { return true }); len(open) > 0 {
		return open, nil
	}
	return nil, s.gone(now.Add(-traceless), func(span) bool { return true })
}

// which are the calls in flight whose span fits.
func (s *Served) which(fits func(span) bool) (open []*served) {
	for one := range s.open {
		if fits(spanOf(one.call)) {
			open = append(open, one)
		}
	}
	return open
}

// gone is the last call that was given up after a time and whose span fits.
func (s *Served) gone(after time.Time, fits func(span) bool) *givenUp {
	for i := len(s.givenUp) - 1; i >= 0 && s.givenUp[i].at.After(after); i-- {
		if fits(s.givenUp[i].span) {
			return &s.givenUp[i]
		}
	}
	return nil
}

// refuse is the error of a call that belongs to one which was given up.
func (g *givenUp) refuse(c *agent.Call) error {
	return agent.Refusedf(g.why, "%s: it belongs to a call of %s that was given up %v ago", c.Target(), g.target,
		time.Since(g.at).Round(time.Millisecond))
}

// latest is the latest deadline of calls; ok is false if one has none.
func latest(of []*served) (at time.Time, ok bool) {
	for _, one := range of {
		end, has := one.ctx.Deadline()
		if !has {
			return time.Time{}, false
		}
		if end.After(at) {
			at = end
		}
	}
	return at, true
}
