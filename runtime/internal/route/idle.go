package route

import (
	"context"
	"time"
)

// ParkWhenIdle parks the instance when it has not been called for a time, and returns what is
// closed when it is called again: it has no session from then on. nil: ctx or the session ended
// before. may is asked at the last moment.
func (i *Instance) ParkWhenIdle(ctx context.Context, ended <-chan struct{}, after time.Duration,
	may func() bool) (called <-chan struct{}) {
	tick := time.NewTicker(max(after/idleLooks, time.Millisecond))
	defer tick.Stop()
	quiet, served := time.Now(), i.Served()
	for {
		select {
		case <-tick.C:
		case <-ended:
			return nil
		case <-ctx.Done():
			return nil
		}
		if now := i.Served(); now != served || i.InFlight() > 0 {
			quiet, served = time.Now(), now
			continue
		}
		if time.Since(quiet) >= after && may() {
			if called := i.park(); called != nil {
				return called
			}
		}
	}
}

// idleLooks is how often ParkWhenIdle looks, in the time after which it parks, whether there were
// calls: that costs the calls nothing.
const idleLooks = 4

// park parks the instance unless a call is in flight or something else is done with it.
func (i *Instance) park() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ending || i.now.State != Ready || !i.gate.ShutEmpty() {
		return nil
	}
	i.session.Store(nil)
	i.called = make(chan struct{})
	i.become(Condition{State: Idle})
	return i.called
}

// wake has an instance started that is parked. It reports whether that is under way.
func (i *Instance) wake() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.now.State == Idle {
		close(i.called)
		i.become(Condition{State: Starting, woken: true})
	}
	return i.now.woken
}

// wake has one instance started of those that are parked, if none is. It reports whether that is
// under way: calls wait for it as long as for an answer, since it was not parked for a fault.
func (p *Pool) wake() bool {
	if p.next.Load() != nil {
		return false // another pool takes its calls
	}
	var parked *Instance
	for _, i := range p.instances {
		switch now := i.Look(); {
		case now.woken:
			return true
		case now.State == Idle && parked == nil:
			parked = i
		}
	}
	return parked != nil && parked.wake()
}

// Awake calls f while the first instance is not parked. If it is, it is started before.
func (p *Pool) Awake(ctx context.Context, f func() error) error {
	i := p.instances[0]
	for {
		changed := p.watch()
		if i.gate.Enter() {
			defer i.gate.Leave()
			return f()
		}
		if !i.wake() {
			switch now := i.Look(); now.State {
			case Ready, Suspect, Idle: // since a moment
				continue
			default:
				return now.why(p.name)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
