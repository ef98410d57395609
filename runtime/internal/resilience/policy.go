package resilience

import "github.com/openmas/openmas/internal/backoff"

// A Policy is how often a call is tried and how long to wait in between.
type Policy struct {
	// Attempts at a call in all, the first one included; 1 turns retries off.
	Attempts int
	// Backoff is the wait before each further attempt. Its Max also bounds the wait for a turn of
	// the budget.
	Backoff backoff.Policy
}
