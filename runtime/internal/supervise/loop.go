package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sourcegraph/conc/panics"

	"github.com/openmas/openmas/internal/backoff"
)

// ErrGaveUp is in the error of [Loop] when it restarted no more.
var ErrGaveUp = errors.New("gave up restarting")

// A PanicError is a panic that was made an error. Its text leaves out the stack, which belongs in
// the log only.
type PanicError struct {
	Value any
	Stack []byte
}

// Error is "panic: " and the value.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Try runs f and makes a panic in it a [*PanicError].
func Try(ctx context.Context, f func(context.Context) error) (err error) {
	if p := panics.Try(func() { err = f(ctx) }); p != nil {
		return &PanicError{Value: p.Value, Stack: p.Stack}
	}
	return err
}

// A Status is what [Loop] reports at each change.
type Status struct {
	State State
	// Restarts counts the restarts since Loop began.
	Restarts int
	// Wait is how long until it runs again: in Restarting and Backoff.
	Wait time.Duration
	// Err is why the last run failed; nil before the first failure.
	Err error
}

// Loop runs run, and again whenever it returns an error or panics, as the policy has it. It owns no
// goroutine: it returns when run does for the last time:
//   - nil: run returned nil, and is done;
//   - the cause of ctx: ctx ended, and run, whatever it returned then, was stopped;
//   - an error that wraps [ErrGaveUp] and run's last error: it failed too often.
//
// onState, if not nil, gets each state before it is entered, from the goroutine of Loop; it
// must be quick. log, which says what runs, gets a line for each failure, with the stack of a
// panic, and with what the error's LogAttrs returns if it has such a method; name names it in the
// error.
func Loop(ctx context.Context, p Policy, name string, log *slog.Logger, run func(context.Context) error,
	onState func(Status)) error {
	m := &machine{policy: p}
	var s Status
	enter := func(state State, wait time.Duration) {
		s.State, s.Wait = state, wait
		if onState != nil {
			onState(s)
		}
	}
	for {
		if ctx.Err() != nil {
			enter(Stopped, 0)
			return context.Cause(ctx)
		}
		enter(Running, 0)
		m.start(time.Now())
		err := Try(ctx, run)
		switch {
		case ctx.Err() != nil:
			if err != nil && !errors.Is(err, ctx.Err()) && !errors.Is(err, context.Cause(ctx)) {
				s.Err = err
				log.WarnContext(ctx, "failed while being stopped", failure(err)...)
			}
			enter(Stopped, 0)
			return context.Cause(ctx)
		case err == nil:
			enter(Done, 0)
			return nil
		}
		s.Err = err
		state, wait := m.fail(time.Now())
		if state == Failed {
			log.ErrorContext(ctx, "failed too often, not restarted any more",
				append(failure(err), "restarts", s.Restarts)...)
			enter(Failed, 0)
			return fmt.Errorf("%s: %w after %d restarts: %w", name, ErrGaveUp, s.Restarts, err)
		}
		log.WarnContext(ctx, "failed, runs again", append(failure(err), "restarts", s.Restarts, "state", state, "wait",
			wait)...)
		enter(state, wait)
		if backoff.Sleep(ctx, wait) == nil {
			s.Restarts++
		}
	}
}

func failure(err error) []any {
	args := []any{"error", err}
	var p *PanicError
	if errors.As(err, &p) {
		args = append(args, "stack", string(p.Stack))
	}
	var more interface{ LogAttrs() []any }
	if errors.As(err, &more) {
		args = append(args, more.LogAttrs()...)
	}
	return args
}
