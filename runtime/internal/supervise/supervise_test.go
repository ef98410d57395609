package supervise

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/openmas/openmas/internal/backoff"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	quiet   = slog.New(slog.DiscardHandler)
	errBoom = errors.New("boom")
)

// states collects what Loop reports.
type states []Status

func (s *states) add(st Status) { *s = append(*s, st) }

func (s states) names() (out []State) {
	for _, st := range s {
		out = append(out, st.State)
	}
	return out
}

func TestLoopGivesUpAfterTheThirdBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began []time.Duration
		var told states
		t0 := time.Now()
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		err := Loop(t.Context(), usual, "editor", logger, func(context.Context) error {
			began = append(began, time.Since(t0))
			return errBoom
		}, told.add)
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(),
			"failed too often, not restarted any more\" error=boom restarts=23") {
			t.Errorf("%d errors in the log:\n%s", n, log.String())
		}
		if !errors.Is(err, ErrGaveUp) || !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "editor") {
			t.Error(err)
		}
		// Per burst: the run, and restarts after 0, 100, 200, 400 and 800 ms; a rest of 15 s
		// between two bursts.
		const ms = time.Millisecond
		var want []time.Duration
		for burst := range 4 {
			at := time.Duration(burst) * (1500*ms + 15*time.Second)
			want = append(want, at, at, at+100*ms, at+300*ms, at+700*ms, at+1500*ms)
		}
		if !slices.Equal(began, want) {
			t.Errorf("runs began at\n%v, want\n%v", began, want)
		}
		last := told[len(told)-1]
		if last.State != Failed || last.Restarts != 23 || last.Err != errBoom {
			t.Errorf("%+v", last)
		}
		if n := len(slices.DeleteFunc(told.names(), func(s State) bool { return s != Backoff })); n != 3 {
			t.Errorf("%d backoffs", n)
		}
	})
}

func TestLoopDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told states
		n := 0
		err := Loop(t.Context(), usual, "r", quiet, func(context.Context) error {
			if n++; n < 3 {
				return context.Canceled // a foreign context's: ours goes on
			}
			return nil
		}, told.add)
		if want := []State{Running, Restarting, Running, Restarting, Running, Done}; err != nil ||
			!slices.Equal(told.names(), want) {
			t.Error(err, told.names())
		}
	})
}

func TestLoopStops(t *testing.T) {
	cause := errors.New("drain")
	for name, run := range map[string]func(context.Context) error{
		"waits for ctx":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"returns nil":     func(ctx context.Context) error { <-ctx.Done(); return nil },
		"returns another": func(ctx context.Context) error { <-ctx.Done(); return errBoom },
		"panics":          func(ctx context.Context) error { <-ctx.Done(); panic("late") },
		"in its backoff":  func(context.Context) error { return errBoom },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(5*time.Second, func() { cancel(cause) })
				var told states
				var log bytes.Buffer
				err := Loop(ctx, usual, "r", slog.New(slog.NewTextHandler(&log, nil)), run, told.add)
				if err != cause || told[len(told)-1].State != Stopped {
					t.Errorf("%v, %v", err, told.names())
				}
				wants := name == "returns another" || name == "panics"
				if late := strings.Contains(log.String(), "while being stopped"); late != wants {
					t.Errorf("the log says:\n%s", log.String())
				}
				if told := told[len(told)-1].Err; (told != nil) != (wants || name == "in its backoff") {
					t.Errorf("the status has the error %v", told)
				}
				if again := Loop(ctx, usual, "r", quiet, func(context.Context) error {
					t.Error("it ran")
					return nil
				}, nil); again != cause {
					t.Error(again)
				}
			})
		})
	}
}

func TestLoopRestartsAfterAPanicAndLogsItsStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := 0
		var told states
		err := Loop(t.Context(), usual, "editor", slog.New(slog.NewTextHandler(&log, nil)),
			func(context.Context) error {
				if n++; n == 1 {
					panic(errBoom)
				}
				return nil
			}, told.add)
		if err != nil || n != 2 {
			t.Fatal(n, err)
		}
		var p *PanicError
		if e := told[1].Err; !errors.As(e, &p) || !errors.Is(e, errBoom) || e.Error() != "panic: boom" {
			t.Errorf("%v", told[1].Err)
		}
		for _, want := range []string{"panic: boom", "supervise_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log.String())
			}
		}
	})
}

func TestALongRunResetsTheRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		err := Loop(t.Context(), usual, "r", quiet, func(context.Context) error {
			if n++; n == 500 {
				return nil
			}
			if n%20 == 0 { // before it would be given up, at 24
				time.Sleep(30 * time.Second)
			}
			return errBoom
		}, nil)
		if err != nil {
			t.Error(n, err)
		}
	})
}

// A restart counts as long as it is younger than the window.
func TestARestartIsForgottenAfterTheWindow(t *testing.T) {
	for _, tt := range []struct {
		last time.Duration // when the run after the second restart fails
		want State
	}{{30*time.Second - 1, Backoff}, {30 * time.Second, Restarting}} {
		synctest.Test(t, func(t *testing.T) {
			p := usual
			p.Limit = 2
			ends := []time.Duration{0, 10 * time.Second, tt.last} // its restarts are at 0 and a bit after 10 s
			began := time.Now()
			var told states
			_ = Loop(t.Context(), p, "r", quiet, func(context.Context) error {
				if len(ends) == 0 {
					return nil
				}
				time.Sleep(time.Until(began.Add(ends[0])))
				ends = ends[1:]
				return errBoom
			}, told.add)
			want := []State{Running, Restarting, Running, Restarting, Running, tt.want, Running, Done}
			if !slices.Equal(told.names(), want) {
				t.Errorf("a failure at %v: %v", tt.last, told.names())
			}
		})
	}
}

// The machine against a plain reading of the policy: the whole history is kept, and searched.
func TestMachineProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			Limit:       rapid.IntRange(0, 6).Draw(t, "restarts"),
			Window:      time.Duration(rapid.IntRange(1, 60).Draw(t, "within")) * time.Second,
			Backoff:     time.Duration(rapid.IntRange(0, 30).Draw(t, "backoff")) * time.Second,
			GiveUpAfter: rapid.IntRange(0, 4).Draw(t, "give up"),
		}
		runs := rapid.SliceOfN(rapid.IntRange(0, 70), 1, 80).Draw(t, "seconds of each run")
		m := &machine{policy: p}
		now := time.Unix(0, 0)
		var restarts []time.Time // since the last rest or long run
		backoffs := 0            // since the last long run
		for _, sec := range runs {
			m.start(now)
			ran := time.Duration(sec) * time.Second
			now = now.Add(ran)
			state, wait := m.fail(now)
			if ran >= p.Window {
				restarts, backoffs = nil, 0
			}
			recent := 0
			for _, r := range restarts {
				if now.Sub(r) < p.Window {
					recent++
				}
			}
			switch {
			case recent < p.Limit:
				if state != Restarting {
					t.Fatalf("%s after %d restarts of %d", state, recent, p.Limit)
				}
				if wait < 0 || wait > p.Backoff || recent == 0 && wait != 0 {
					t.Fatalf("waits %v for restart %d", wait, recent+1)
				}
				restarts = append(restarts, now.Add(wait))
			case backoffs < p.GiveUpAfter:
				if state != Backoff || wait != p.Backoff {
					t.Fatalf("%s, %v after %d backoffs of %d", state, wait, backoffs, p.GiveUpAfter)
				}
				restarts, backoffs = nil, backoffs+1
			default:
				if state != Failed {
					t.Fatalf("%s after all %d backoffs", state, backoffs)
				}
				return
			}
			if len(m.restarts) > p.Limit {
				t.Fatalf("remembers %d times", len(m.restarts))
			}
			now = now.Add(wait)
		}
	})
}

// Whatever it does, what runs shorter than Window is started a bounded number of times, and no more
// often than the policy allows between two backoffs.
func TestLoopStartsAreBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := Policy{Limit: rapid.IntRange(0, 5).Draw(rt, "restarts"), Window: 30 * time.Second,
			Backoff:     15 * time.Second,
			GiveUpAfter: rapid.IntRange(0, 3).Draw(rt, "give up")}
		runs := rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 10).Draw(rt, "ms of the runs, over and over")
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			var burst []time.Time
			starts := 0
			_ = Loop(ctx, p, "r", quiet, func(ctx context.Context) error {
				_ = backoff.Sleep(ctx, time.Duration(runs[starts%len(runs)])*time.Millisecond)
				starts++
				return errBoom
			}, func(s Status) {
				switch s.State {
				case Running:
					burst = append(burst, time.Now())
					if n := len(burst); n > p.Limit+1 && burst[n-1].Sub(burst[n-p.Limit-2]) < p.Window {
						rt.Errorf("%d starts in %v", p.Limit+2, burst[n-1].Sub(burst[n-p.Limit-2]))
					}
				case Backoff:
					burst = nil
				}
			})
			if ctx.Err() == nil && starts < (p.Limit+1)*(p.GiveUpAfter+1) {
				rt.Errorf("given up after %d starts", starts)
			}
		})
	})
}

// usual is what the project file has by default.
var usual = Policy{Limit: 5, Window: 30 * time.Second, Backoff: 15 * time.Second, GiveUpAfter: 3}

var growing = backoff.Policy{Initial: time.Second, Multiplier: 1.6, Max: 30 * time.Second, Jitter: 0.2}

func TestStateFinal(t *testing.T) {
	for _, s := range []State{Running, Restarting, Backoff, Done, Failed, Stopped} {
		if want := s == Done || s == Failed || s == Stopped; s.Final() != want {
			t.Error(s)
		}
	}
}
