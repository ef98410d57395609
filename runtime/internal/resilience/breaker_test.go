package resilience

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/openmas/openmas/agent"
)

var (
	faulty  = agent.Errorf(agent.CodeInternal, "broken")
	cut     = agent.Errorf(agent.CodeOutcomeUnknown, "gone")
	unclear = agent.Errorf(agent.CodeCanceled, "given up")
	policy  = BreakerPolicy{Ratio: 0.5, Calls: 4, Window: 10 * time.Second, Open: 2 * time.Second, Probes: 2}
)

func TestJudge(t *testing.T) {
	rpc := func(code int64) error {
		e := agent.Errorf(agent.CodeInternal, "x")
		e.RPC = fmt.Appendf(nil, `{"code":%d,"message":"x"}`, code)
		return e
	}
	for _, tt := range []struct {
		err     error
		patient bool
		want    Fault
	}{
		{nil, true, Sound},
		{agent.Errorf(agent.CodeToolFailed, "x"), true, Sound},
		{agent.Errorf(agent.CodeInvalidArgument, "x"), true, Sound},
		{agent.Errorf(agent.CodeNotFound, "x"), true, Sound},
		{agent.Errorf(agent.CodeUnavailable, "x"), false, Faulty},
		{agent.Errorf(agent.CodeOutcomeUnknown, "x"), false, Faulty},
		{agent.Errorf(agent.CodeInternal, "panic: x"), false, Faulty},
		{errors.New("a tool that returns any error"), false, Faulty},
		{context.DeadlineExceeded, true, Faulty},
		{context.DeadlineExceeded, false, Unclear},
		{context.Canceled, true, Unclear},
		{agent.Errorf(agent.CodeResourceExhausted, "busy"), true, Unclear},
		{overTheWire(Halted(agent.Refusedf(agent.CodeUnavailable, "stopped"))), true, Unclear},
		{Halted(agent.Errorf(agent.CodeUnavailable, "what a tool says that calls another agent")), true, Faulty},
		{Halted(agent.Refusedf(agent.CodeInternal, "x")), true, Faulty},
		{&agent.Error{Code: agent.CodeUnavailable, NotExecuted: true, Details: []byte(`[1]`)}, true, Faulty},
		{rpc(-32042), true, Sound},
		{rpc(-32603), true, Faulty},
	} {
		if got := Judge(tt.err, tt.patient); got != tt.want {
			t.Errorf("%v, patient %v: %v, want %v", tt.err, tt.patient, got, tt.want)
		}
	}
}

// overTheWire is an error as another process gets it.
func overTheWire(e *agent.Error) *agent.Error {
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	var out agent.Error
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return &out
}

func (b *Breaker) try(err error) (taken bool, changed BreakerState) {
	turn, ok := b.Enter()
	if !ok {
		return false, ""
	}
	return true, b.Leave(turn, err, 0)
}

func TestABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(policy)
		try := func(err error, taken bool, changed BreakerState) {
			t.Helper()
			if ok, s := b.try(err); ok != taken || s != changed {
				t.Fatalf("%v: taken %v, became %q; %+v", err, ok, s, b.Look())
			}
		}
		for _, err := range []error{nil, faulty, unclear, unclear, nil} {
			try(err, true, "")
		}
		old, _ := b.Enter()
		try(faulty, true, BreakerOpen)
		if l := b.Look(); l.Failed != 2 || l.All != 4 || l.Code != agent.CodeInternal ||
			time.Until(l.Next) != policy.Open {
			t.Errorf("%+v", l)
		}
		try(nil, false, "")
		if s := b.Leave(old, nil, 0); s != "" {
			t.Errorf("a call that began before became %q", s)
		}
		for _, open := range []time.Duration{policy.Open, 2 * policy.Open, 4 * policy.Open} {
			time.Sleep(open - 1)
			if b.Takes() {
				t.Fatalf("it takes calls before %v", open)
			}
			time.Sleep(1 * time.Nanosecond)
			if !b.Takes() {
				t.Fatalf("it takes no calls after %v", open)
			}
			try(unclear, true, "")
			try(nil, true, "")
			try(faulty, true, BreakerOpen)
		}
		time.Sleep(time.Hour)
		first, _ := b.Enter()
		second, _ := b.Enter()
		try(nil, false, "")
		if b.Takes() || b.Leave(first, nil, 0) != "" || b.Leave(second, nil, 0) != BreakerClosed {
			t.Errorf("after two good probes: %+v", b.Look())
		}
		for _, err := range []error{faulty, faulty, faulty} {
			try(err, true, "")
		}
		time.Sleep(policy.Window) // so they do not count any more
		try(faulty, true, "")
		if l := b.Look(); l.State != BreakerClosed {
			t.Errorf("%+v", l)
		}
		for range 2 {
			try(faulty, true, "")
		}
		try(faulty, true, BreakerOpen)
		if l := b.Look(); time.Until(l.Next) != policy.Open {
			t.Errorf("it was well for the window, and is open for %v", time.Until(l.Next))
		}
	})
}

// What ends all calls at once is one failure, however many there were. Those that begin after it
// are others.
func TestCallsThatAreCutOffTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(policy)
		for end := 1; end <= policy.Calls; end++ {
			var turns []BreakerTurn
			for range 64 {
				turn, _ := b.Enter()
				turns = append(turns, turn)
				time.Sleep(time.Millisecond)
			}
			changed := BreakerState("")
			for _, turn := range turns {
				time.Sleep(time.Millisecond)
				if s := b.Leave(turn, cut, 0); s != "" {
					changed = s
				}
			}
			if (changed == BreakerOpen) != (end == policy.Calls) {
				t.Errorf("after %d ends of 64 calls: %q", end, changed)
			}
			time.Sleep(time.Millisecond)
		}
		if l := b.Look(); l.Failed != policy.Calls || l.All != policy.Calls {
			t.Errorf("%+v", l)
		}
	})
}

func TestABreakerThatIsOff(t *testing.T) {
	b := NewBreaker(BreakerPolicy{Ratio: 0.1})
	for range 100 {
		if ok, s := b.try(faulty); !ok || s != "" || !b.Takes() || b.Look().State != BreakerClosed {
			t.Fatal(ok, s)
		}
	}
}

// Whatever happens: it opens exactly when enough of the calls of the window have failed, lets
// nothing through while it is open, no more than its probes after it, and never gets stuck.
func TestBreakerProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := BreakerPolicy{Ratio: rapid.SampledFrom([]float64{0.01, 0.5, 1}).Draw(rt, "ratio"),
			Calls: rapid.IntRange(1, 5).Draw(rt, "calls"), Window: 10 * time.Second,
			Open:   time.Duration(rapid.IntRange(1, 400).Draw(rt, "open")) * time.Second,
			Probes: rapid.IntRange(1, 3).Draw(rt, "probes")}
		b, now := NewBreaker(p), time.Unix(1e9, 0)
		b.now, b.since = func() time.Time { return now }, now
		type ended struct {
			part   int64
			failed bool
		}
		type running struct {
			turn  BreakerTurn
			probe bool
		}
		var window []ended // of the calls that began since it was closed last
		var open []running
		var lost time.Time // when a call was cut off last
		part := func() int64 { return now.UnixNano() / int64(p.Window/spans) }
		enter := func(rt *rapid.T) {
			before := b.Look()
			takes := b.Takes()
			turn, ok := b.Enter()
			after := b.Look()
			if ok != takes {
				rt.Fatalf("Takes said %v, Enter %v", takes, ok)
			}
			if !ok {
				if before.State == BreakerClosed || before.State == BreakerOpen && !now.Before(before.Next) {
					rt.Fatalf("refused by %+v", before)
				}
				return
			}
			if before.State == BreakerOpen && (now.Before(before.Next) || after.State != BreakerHalfOpen) {
				rt.Fatalf("let through by %+v, which became %+v", before, after)
			}
			if before.State == BreakerOpen {
				open = slices.DeleteFunc(open, func(r running) bool { return r.probe })
			}
			open = append(open, running{turn, after.State == BreakerHalfOpen})
			probes := 0
			for _, r := range open {
				if r.probe {
					probes++
				}
			}
			if probes > p.Probes {
				rt.Fatalf("%d probes at once", probes)
			}
		}
		leave := func(rt *rapid.T) {
			if len(open) == 0 {
				return
			}
			n := rapid.IntRange(0, len(open)-1).Draw(rt, "which")
			r := open[n]
			open = slices.Delete(open, n, n+1)
			err := rapid.SampledFrom([]error{nil, faulty, cut, unclear}).Draw(rt, "end")
			before, counts := b.Look(), r.turn.era == b.era.Load()
			changed := b.Leave(r.turn, err, 0)
			want := BreakerState("")
			switch {
			case !counts || before.State == BreakerOpen || errors.Is(err, unclear):
			case before.State == BreakerClosed && errors.Is(err, cut) && !r.turn.began.After(lost):
			case before.State == BreakerHalfOpen:
				if err != nil {
					want = BreakerOpen
				} else if b.passed == p.Probes {
					want = BreakerClosed
					window = nil
				}
			default:
				if errors.Is(err, cut) {
					lost = now
				}
				window = append(window, ended{part(), err != nil})
				failed, all := 0, 0
				for _, e := range window {
					if e.part > part()-spans {
						all++
						if e.failed {
							failed++
						}
					}
				}
				if err != nil && all >= p.Calls && float64(failed) >= p.Ratio*float64(all) {
					want = BreakerOpen
				}
			}
			if changed != want {
				rt.Fatalf("%+v: a call that ended with %v made it %q, want %q", before, err, changed, want)
			}
			if l := b.Look(); changed == BreakerOpen {
				if wait := l.Next.Sub(now); wait < p.Open || wait > max(p.Open, MaxOpen) {
					rt.Fatalf("open for %v", wait)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"enter": enter, "leave": leave,
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 12000).Draw(rt, "ms")) * time.Millisecond)
			},
		})
		// Once all have ended and the longest rest is over, it recovers.
		for _, r := range open {
			b.Leave(r.turn, unclear, 0)
		}
		now = now.Add(max(p.Open, MaxOpen))
		for range p.Probes {
			if ok, _ := b.try(nil); !ok {
				rt.Fatalf("it does not recover: %+v", b.Look())
			}
		}
		if s := b.Look().State; s != BreakerClosed {
			rt.Fatalf("after good probes it is %s", s)
		}
	})
}

func BenchmarkBreaker(b *testing.B) {
	x := NewBreaker(BreakerPolicy{Ratio: 0.5, Calls: 10, Window: 30 * time.Second, Open: time.Second, Probes: 3})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			t, _ := x.Enter()
			x.Leave(t, nil, 0)
		}
	})
}
