package route

import (
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

// Limits bound the calls to the instances of an agent.
type Limits struct {
	// InFlight is how many calls of one depth run at each instance at once; 0: any number. A call
	// below another one at the same agent does not count.
	InFlight int
	// Queue is how many calls of one depth wait, for one that runs to end or for an instance that
	// starts.
	Queue int
	// ReadyWait is how long a call waits, within its deadline, for an instance that starts, is
	// started again or is being reached again.
	ReadyWait time.Duration
	// Breaker is when an instance gets no more calls of a tool.
	Breaker resilience.BreakerPolicy
	// Patience is how long a call without an answer has to last to count as the instance's fault.
	Patience time.Duration
	// Apart: those of a tool do not share their slots with the calls of the other tools.
	Apart bool
	// Key is what sets a limit, as the project file has it: "max_queue" becomes
	// "agents.a.max_queue".
	Key func(name string) string
}

// DefaultLimits are those of a pool that is given none: nothing is bounded but the waiting.
func DefaultLimits() Limits {
	return Limits{Queue: 1024, ReadyWait: 10 * time.Second, Key: func(name string) string { return name }}
}

// slots are what calls take at the instances, and wait for. Those of each depth have their own:
// a call that runs waits for deeper ones only, and the deepest for none. If they shared them, calls
// that go in circles through several agents would wait for each other until their deadlines.
type slots struct {
	running []atomic.Int64 // by instance
	queue   queue
	deeper  atomic.Pointer[slots] // of the calls one deeper; nil: there were none yet
}

func newSlots(instances int) *slots { return &slots{running: make([]atomic.Int64, instances)} }

// below are the slots of the calls one deeper.
func (s *slots) below() *slots {
	if s.deeper.Load() == nil {
		s.deeper.CompareAndSwap(nil, newSlots(len(s.running)))
	}
	return s.deeper.Load()
}

// waits is how many calls wait for them, at any depth.
func (s *slots) waits() (n int) {
	for ; s != nil; s = s.deeper.Load() {
		n += s.queue.waits()
	}
	return n
}

// A lane is what the calls of one tool share, or those of all tools without a lane of their own.
type lane struct {
	Limits
	*slots
	tool     string
	breakers []*resilience.Breaker // by instance; nil: there are none
	deeper   atomic.Pointer[lane]  // that of the calls one deeper; nil: there were none yet
}

// at is the lane for calls of a depth: the same one, with slots of their own.
func (l *lane) at(depth int) *lane {
	if l.InFlight <= 0 {
		return l
	}
	for range min(depth, calls.MaxDepth) {
		if l.deeper.Load() == nil {
			l.deeper.CompareAndSwap(nil, &lane{Limits: l.Limits, slots: l.below(), tool: l.tool, breakers: l.breakers})
		}
		l = l.deeper.Load()
	}
	return l
}

// acquire takes a slot at instance n.
func (l *lane) acquire(n int) bool {
	for {
		now := l.running[n].Load()
		if now >= int64(l.InFlight) {
			return false
		}
		if l.running[n].CompareAndSwap(now, now+1) {
			return true
		}
	}
}

// maxLanes bounds the tools of one agent that have a lane of their own.
const maxLanes = 4096

func newLane(tool string, instances int, limits Limits, shared *slots) *lane {
	l := &lane{Limits: limits, slots: shared, tool: tool}
	if limits.Breaker.Calls > 0 {
		l.breakers = make([]*resilience.Breaker, instances)
		for n := range l.breakers {
			l.breakers[n] = resilience.NewBreaker(limits.Breaker)
		}
	}
	return l
}

func (l *lane) breaker(n int) *resilience.Breaker {
	if l.breakers == nil {
		return nil
	}
	return l.breakers[n]
}
