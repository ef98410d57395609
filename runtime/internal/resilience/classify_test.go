package resilience

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
)

func TestClassify(t *testing.T) {
	// What each code gives when the call was not executed, and when it was or may have been:
	// plainly, when it is repeatable, when it is keyed.
	type row struct{ refused, executed, repeatable, keyed Verdict }
	final := row{Final, Final, Final, Final}
	want := map[agent.Code]row{
		agent.CodeUnavailable:    {Again, Unsafe, Again, Unsafe},
		agent.CodeOutcomeUnknown: {Again, Unsafe, Again, Again},
		// Without RetryAfter; with it, see below.
		agent.CodeResourceExhausted: final,
		agent.CodeInvalidArgument:   final,
		agent.CodeNotFound:          final,
		agent.CodePermissionDenied:  final,
		agent.CodeUnauthenticated:   final,
		agent.CodeDeadlineExceeded:  final,
		agent.CodeCanceled:          final,
		agent.CodeUnimplemented:     final,
		agent.CodeInternal:          final,
		agent.CodeToolFailed:        final,
	}
	withRetryAfter := map[agent.Code]row{agent.CodeResourceExhausted: {Again, Unsafe, Again, Unsafe}}
	check := func(e *agent.Error, w row) {
		t.Helper()
		for _, c := range []struct {
			refused, repeatable, keyed bool
			want                       Verdict
		}{
			{true, false, false, w.refused}, {true, true, true, w.refused},
			{false, false, false, w.executed}, {false, true, false, w.repeatable}, {false, false, true, w.keyed},
		} {
			e := *e
			e.NotExecuted = c.refused
			for _, err := range []error{&e, fmt.Errorf("on the way: %w", &e)} {
				if got := Classify(err, c.repeatable, c.keyed); got != c.want {
					t.Errorf("%s, RetryAfter %v, %+v: %v", e.Code, e.RetryAfter, c, got)
				}
			}
		}
	}
	for _, code := range agent.Codes() {
		w, ok := want[code]
		if !ok {
			t.Errorf("no row for %s", code)
			continue
		}
		check(agent.Errorf(code, "x"), w)
		if later, ok := withRetryAfter[code]; ok {
			w = later
		}
		e := agent.Errorf(code, "x")
		e.RetryAfter = time.Second
		check(e, w)
	}
}

func TestClassifyNeedsEvidence(t *testing.T) {
	for _, err := range []error{nil, errors.New("unavailable: connection refused"), context.Canceled,
		context.DeadlineExceeded} {
		if got := Classify(err, true, true); got != Final {
			t.Errorf("%v: %v", err, got)
		}
	}
}
