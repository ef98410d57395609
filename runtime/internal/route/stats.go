package route

import (
	"sync/atomic"
	"time"
)

// Stats are what the callers of one agent saw.
type Stats struct {
	Calls, Failures, Retries int64
	// Busy is how long callers waited, all calls added up.
	Busy time.Duration
}

type stats struct {
	calls, failures, retries, busy atomic.Int64
}

func (s *stats) done(took time.Duration, err error) {
	s.calls.Add(1)
	s.busy.Add(int64(took))
	if err != nil {
		s.failures.Add(1)
	}
}

func (s *stats) read() Stats {
	return Stats{Calls: s.calls.Load(), Failures: s.failures.Load(), Retries: s.retries.Load(),
		Busy: time.Duration(s.busy.Load())}
}
