// Package resilience decides which failed calls are made again, and makes them again: once per
// call, at its outermost caller, with backoff, and within a budget that keeps retries from becoming
// the load that broke the callee.
package resilience

import (
	"errors"

	"github.com/openmas/openmas/agent"
)

// A Verdict is what to do about a failed attempt at a call.
type Verdict int

const (
	// Final: give the error to the caller. Another attempt would fail alike, or the answer is
	// known.
	Final Verdict = iota
	// Again: another attempt is safe, and may succeed.
	Again
	// Unsafe: another attempt might succeed, but this one may have run and the call is not safe to
	// run twice. The error goes to the caller.
	Unsafe
)

// ErrWaited is in the error of a call that has waited for somebody to take it as long as a call
// may: another attempt would wait anew.
var ErrWaited = errors.New("nobody took the call while it waited")

// ErrOpen is in the error of a call that a breaker refused: its point is that the caller knows at
// once.
var ErrOpen = errors.New("its breaker is open")

// Classify judges the error of an attempt by its evidence alone: the code,
// [agent.Error.NotExecuted] and [agent.Error.RetryAfter] of the [agent.Error] in it; never by its
// text. repeatable: the call may be executed any number of times, as its tool declares or the
// project file says. keyed: the call has an idempotency key, and whoever gets the next attempt
// keeps the results of calls under their keys. Only three codes are ever worth another attempt:
//
//	code                 not executed   executed, or nobody knows
//	unavailable          Again          Again if repeatable, else Unsafe
//	resource_exhausted   Again (*)      Again (*) if repeatable, else Unsafe (*)
//	outcome_unknown      Again          Again if repeatable or keyed, else Unsafe
//	invalid_argument     Final          Final: equal input, equal answer
//	not_found            Final          Final
//	unimplemented        Final          Final
//	permission_denied    Final          Final
//	unauthenticated      Final          Final
//	deadline_exceeded    Final          Final: the time is up for a next attempt too
//	canceled             Final          Final: nobody waits for an answer
//	internal             Final          Final: a defect does not pass
//	tool_failed          Final          Final: that is the tool's answer
//
// (*) if the callee gave a RetryAfter, else Final: without one the limit is not of load but of the
// call itself (its size, its depth) and stays.
//
// An error that is an [ErrWaited] or an [ErrOpen] is Final as well.
//
// A key does not help where the callee answered: it would give its kept answer again. An error
// without an [agent.Error] in it is Final: it is no evidence of anything.
func Classify(err error, repeatable, keyed bool) Verdict {
	if err == nil || errors.Is(err, ErrWaited) || errors.Is(err, ErrOpen) {
		return Final
	}
	e := agent.AsError(err)
	safe := e.NotExecuted || repeatable
	switch e.Code {
	case agent.CodeUnavailable:
	case agent.CodeResourceExhausted:
		if e.RetryAfter <= 0 {
			return Final
		}
	case agent.CodeOutcomeUnknown:
		safe = safe || keyed
	default:
		return Final
	}
	if safe {
		return Again
	}
	return Unsafe
}
