package resilience

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script answers attempt n with errs[n-1], and with a result when they are used up. It keeps what
// it was asked, and when.
type script struct {
	errs  []error
	calls []agent.Call
	times []time.Duration
	began time.Time
}

func (s *script) Call(_ context.Context, c *agent.Call) (*agent.Result, error) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	s.calls, s.times = append(s.calls, *c), append(s.times, time.Since(s.began))
	if n := len(s.calls); n <= len(s.errs) && s.errs[n-1] != nil {
		return nil, s.errs[n-1]
	}
	return agent.TextResult("fine"), nil
}

// growing is a policy of three attempts without jitter.
var growing = Policy{Attempts: 3, Backoff: backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2,
	Max: 10 * time.Second}}

func yes(*agent.Call) bool { return true }

var (
	refused = agent.Refusedf(agent.CodeUnavailable, "nobody there")
	lost    = agent.Errorf(agent.CodeOutcomeUnknown, "connection lost")
)

func after(d time.Duration) error {
	e := agent.Refusedf(agent.CodeResourceExhausted, "busy")
	e.RetryAfter = d
	return e
}

func newRetrier(p Policy, o Options, s agent.Caller) *retrier {
	return Retry(p, o)(s).(*retrier)
}

func TestRetryBacksOffUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{errs: []error{refused, refused, refused}}
		p := Policy{Attempts: 4, Backoff: backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2,
			Max: 350 * time.Millisecond}}
		var told []int
		var ended []bool
		var waits []time.Duration
		helped := ""
		r := newRetrier(p, Options{OnHelped: func(_ context.Context, c *agent.Call, n int, took time.Duration,
			first error) {
			helped += fmt.Sprintf("%s %d %v %v", c.ID, n, took, first)
		}, OnRetry: func(ctx context.Context, c *agent.Call, waited time.Duration,
			cause error) (context.Context, func(error)) {
			if !errors.Is(cause, agent.CodeUnavailable) {
				t.Errorf("attempt %d: %v", c.Attempt, cause)
			}
			told, waits = append(told, c.Attempt), append(waits, waited)
			return ctx, func(err error) { ended = append(ended, err == nil) }
		}}, s)
		in := &agent.Call{ID: "x", Attempt: 1}
		if res, err := r.Call(t.Context(), in); err != nil || res.Text() != "fine" {
			t.Fatal(res, err)
		}
		ms := time.Millisecond
		if want := []time.Duration{0, 100 * ms, 300 * ms, 650 * ms}; !slices.Equal(s.times, want) {
			t.Errorf("attempts at %v, want %v", s.times, want)
		}
		if want := []time.Duration{100 * ms, 200 * ms, 350 * ms}; !slices.Equal(waits, want) ||
			!slices.Equal(told, []int{2, 3, 4}) {
			t.Errorf("told of %v after %v", told, waits)
		}
		if !slices.Equal(ended, []bool{false, false, true}) {
			t.Errorf("attempts that succeeded: %v", ended)
		}
		if helped != "x 4 650ms "+refused.Error() {
			t.Errorf("what helped: %q", helped)
		}
		for i, c := range s.calls {
			if c.Attempt != i+1 || c.ID != "x" {
				t.Errorf("call %d is %+v", i, c)
			}
		}
		if in.Attempt != 1 {
			t.Error("the caller's call was changed")
		}
	})
}

func TestRetryGivesUpWithTheLastError(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name        string
		errs        []error
		repeatable  bool
		keyed       bool
		attempts    int
		code        agent.Code
		notExecuted bool
		message     string
	}{
		{name: "final at once", errs: []error{agent.Errorf(agent.CodeToolFailed, "no")}, repeatable: true, attempts: 1,
			code: agent.CodeToolFailed, message: "no"},
		{name: "attempts used up", errs: []error{refused, refused, refused, refused}, attempts: 3,
			code: agent.CodeUnavailable, notExecuted: true, message: "nobody there (after 3 attempts)"},
		{name: "unsafe after a safe one", errs: []error{refused, lost}, attempts: 2, code: agent.CodeOutcomeUnknown,
			message: "connection lost (after 2 attempts)"},
		{name: "lost, not repeatable", errs: []error{lost}, attempts: 1, code: agent.CodeOutcomeUnknown,
			message: "connection lost"},
		{name: "lost, repeatable", errs: []error{lost, lost, lost}, repeatable: true, attempts: 3,
			code: agent.CodeOutcomeUnknown, message: "connection lost (after 3 attempts)"},
		{name: "lost, keyed", errs: []error{lost, lost, lost}, keyed: true, attempts: 3, code: agent.CodeOutcomeUnknown,
			message: "connection lost (after 3 attempts)"},
		{name: "refused last, may have run first", errs: []error{lost, refused, refused}, repeatable: true, attempts: 3,
			code: agent.CodeUnavailable, notExecuted: false, message: "nobody there (after 3 attempts)"},
		{name: "final after a retry", errs: []error{refused, agent.Refusedf(agent.CodeNotFound, "gone")}, attempts: 2,
			code: agent.CodeNotFound, notExecuted: true, message: "gone (after 2 attempts)"},
		{name: "no evidence", errs: []error{errors.New("boom")}, repeatable: true, attempts: 1,
			code: agent.CodeInternal, message: "boom"},
		{name: "wait passes the deadline", errs: []error{after(time.Minute)}, attempts: 1,
			code: agent.CodeResourceExhausted, notExecuted: true,
			message: "busy (after 1 attempt, no time for another)"},
		{name: "honoured", errs: []error{after(20 * ms), after(20 * ms), after(20 * ms)}, attempts: 3,
			code: agent.CodeResourceExhausted, notExecuted: true, message: "busy (after 3 attempts)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				s := &script{errs: c.errs}
				o := Options{Repeatable: func(*agent.Call) bool {
					return c.repeatable
				}, Keyed: func(*agent.Call) bool { return c.keyed }}
				_, err := newRetrier(growing, o, s).Call(ctx, &agent.Call{Key: "k"})
				if len(s.calls) != c.attempts {
					t.Errorf("%d attempts, want %d", len(s.calls), c.attempts)
				}
				e := agent.AsError(err)
				if e.Code != c.code || e.NotExecuted != c.notExecuted || e.Message != c.message {
					t.Errorf("%+v", e)
				}
				if !errors.Is(err, agent.CodeOf(c.errs[len(s.calls)-1])) && c.name != "no evidence" {
					t.Errorf("%v is not the last error", err)
				}
			})
		})
	}
}

func TestRetryKeepsTheCause(t *testing.T) {
	cause := errors.New("dial: refused")
	s := &script{errs: []error{refused, agent.Refusedf(agent.CodeUnavailable, "there: %w", cause)}}
	_, err := newRetrier(Policy{Attempts: 2, Backoff: backoff.Policy{Initial: 1, Multiplier: 1, Max: 1}}, Options{},
		s).Call(t.Context(),
		&agent.Call{})
	if !errors.Is(err, cause) {
		t.Fatal(err)
	}
}

func TestRetryWaitsAtLeastRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{errs: []error{after(3 * time.Second), after(math.MaxInt64)}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := newRetrier(growing, Options{}, s).Call(ctx, &agent.Call{})
		if want := 3*time.Second + 100*time.Millisecond; len(s.times) != 2 || s.times[1] != want {
			t.Errorf("attempts at %v, want one at %v", s.times, want)
		}
		if since := time.Since(s.began); since != s.times[1] || err == nil {
			t.Errorf("%v after %v: it waited for a RetryAfter beyond the deadline", err, since)
		}
	})
}

// A wait that would end with the deadline is not begun; one that ends before it is.
func TestRetryWaitsUntilBeforeTheDeadline(t *testing.T) {
	for _, tt := range []struct {
		deadline time.Duration
		attempts int
		ends     time.Duration
	}{{100 * time.Millisecond, 1, 0}, {100*time.Millisecond + 1, 2, 100 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
			defer cancel()
			s := &script{errs: []error{refused}}
			_, err := newRetrier(growing, Options{}, s).Call(ctx, &agent.Call{})
			if len(s.calls) != tt.attempts || time.Since(s.began) != tt.ends || (err == nil) != (tt.attempts == 2) {
				t.Errorf("with %v, %d attempts end after %v: %v", tt.deadline, len(s.calls), time.Since(s.began), err)
			}
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		s := &script{errs: []error{refused, nil}}
		_, err := newRetrier(growing, Options{}, s).Call(ctx, &agent.Call{})
		if len(s.calls) != 1 || time.Since(s.began) != 50*time.Millisecond || !errors.Is(err, agent.CodeUnavailable) {
			t.Errorf("%d attempts, %v, %v", len(s.calls), time.Since(s.began), err)
		}
	})
}

func TestRetryCountsFromTheAttemptItWasGiven(t *testing.T) {
	s := &script{errs: []error{refused, nil}}
	p := Policy{Attempts: 2, Backoff: backoff.Policy{Initial: 1, Multiplier: 1, Max: 1}}
	if _, err := Retry(p, Options{})(s).Call(t.Context(), &agent.Call{Attempt: 4}); err != nil ||
		s.calls[1].Attempt != 5 {
		t.Fatal(err, s.calls)
	}
}

func TestRetryOffIsNothing(t *testing.T) {
	s := &script{}
	if got := Retry(Policy{Attempts: 1}, Options{})(s); got != agent.Caller(s) {
		t.Errorf("%T", got)
	}
}

// Whatever the callee answers and the policy says: no more attempts than allowed, no second
// execution of what may not be repeated, no wait outside the policy.
func TestRetryProperties(t *testing.T) {
	codes := agent.Codes()
	rapid.Check(t, func(rt *rapid.T) {
		p := Policy{Attempts: rapid.IntRange(-1, 6).Draw(rt, "attempts"),
			Backoff: backoff.Policy{
				Initial:    time.Duration(rapid.IntRange(-1, 1e9).Draw(rt, "initial")),
				Multiplier: rapid.Float64().Draw(rt, "multiplier"),
				Max:        time.Duration(rapid.IntRange(-1, 1e10).Draw(rt, "max")),
				Jitter:     rapid.Float64().Draw(rt, "jitter")}}
		n := rapid.IntRange(0, 8).Draw(rt, "failures")
		s := &script{}
		executed, known := 0, map[int]bool{}
		for i := range n {
			e := agent.Errorf(rapid.SampledFrom(codes).Draw(rt, "code"), "no")
			e.NotExecuted = rapid.Bool().Draw(rt, "refused")
			e.RetryAfter = time.Duration(rapid.Int64Range(0, 1e9).Draw(rt, "after"))
			s.errs, known[i] = append(s.errs, e), e.NotExecuted
		}
		repeatable := rapid.Bool().Draw(rt, "repeatable")
		b := NewBudget(DefaultBudgetPolicy())
		r := Retry(p, Options{Budget: b, Repeatable: func(*agent.Call) bool { return repeatable }})(s)
		var err error
		var began time.Time
		synctest.Test(t, func(*testing.T) {
			began = time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_, err = r.Call(ctx, &agent.Call{})
			if d := time.Since(began); d >= 20*time.Second {
				rt.Errorf("it took %v: past the deadline", d)
			}
		})
		for i := range s.calls {
			if !known[i] {
				executed++
			}
		}
		if len(s.calls) > max(p.Attempts, 1) {
			rt.Errorf("%d attempts, allowed %d", len(s.calls), p.Attempts)
		}
		if !repeatable && executed > 1 {
			rt.Errorf("executed %d times", executed)
		}
		if err != nil && agent.AsError(err).NotExecuted && executed > 0 {
			rt.Errorf("%v claims that nothing ran, %d did", err, executed)
		}
		if err != nil && agent.CodeOf(err) != agent.CodeOf(s.errs[len(s.calls)-1]) {
			rt.Errorf("%v is not the last error %v", err, s.errs[len(s.calls)-1])
		}
		if u := b.Use(); u != (BudgetUse{}) {
			rt.Errorf("budget left in use: %+v", u)
		}
	})
}

func fine() agent.Caller {
	res := &agent.Result{}
	return agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) { return res, nil })
}

func TestFirstTrySuccessAllocatesNothing(t *testing.T) {
	r := Retry(growing, Options{Budget: NewBudget(DefaultBudgetPolicy()), Repeatable: yes})(fine())
	ctx, c := t.Context(), &agent.Call{Attempt: 1}
	if n := testing.AllocsPerRun(1000, func() { _, _ = r.Call(ctx, c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFirstTrySuccess(b *testing.B) {
	ctx, c := b.Context(), &agent.Call{Attempt: 1}
	for name, r := range map[string]agent.Caller{
		"bare":  fine(),
		"retry": Retry(growing, Options{Budget: NewBudget(DefaultBudgetPolicy()), Repeatable: yes})(fine()),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = r.Call(ctx, c)
			}
		})
	}
}
