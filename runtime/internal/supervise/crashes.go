package supervise

import (
	"context"
	"time"
)

// A NotYetError is why something cannot be started, and when it makes sense to try again.
type NotYetError struct {
	Err error
	// Rest is the least wait.
	Rest time.Duration
	// Until returns when there is a change, or ctx ends. nil: only time helps.
	Until func(ctx context.Context)
}

// Error implements error.
func (e *NotYetError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *NotYetError) Unwrap() error { return e.Err }

// Crashes are those of one program in a row that was never ready between them. One that ends in the
// same way time and again does so for a reason that time does not mend, so it rests longer each
// time. The zero value is ready to use, not for concurrent use.
type Crashes struct {
	last string
	same int
	rest time.Duration
}

const (
	sameCrashes = 5 // in a row, from which on a program rests
	firstRest   = 15 * time.Second
	// maxRest is the longest rest.
	maxRest = 5 * time.Minute
)

// Rest notes a crash, and returns how long to rest after it; 0: not at all. how tells whether it
// was the same as the last one.
func (c *Crashes) Rest(how string) time.Duration {
	if how != c.last {
		*c = Crashes{last: how}
	}
	if c.same++; c.same < sameCrashes {
		return 0
	}
	c.rest = min(max(2*c.rest, firstRest), maxRest)
	return c.rest
}
