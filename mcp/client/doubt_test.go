package client

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
)

// A server that is silent while a call runs into its deadline is suspect 2 s later. It loses its
// session no sooner than by pings alone, nor later.
func TestACallWithoutAnAnswerMakesSuspect(t *testing.T) {
	const interval = 15 * time.Second
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told, _ := pinged(t, version, interval)
				time.Sleep(time.Hour)
				if err := callFor(t.Context(), s, "well", time.Second); err != nil {
					t.Error(err)
				}
				frozen := time.Now()
				err := callFor(t.Context(), s, "freeze", time.Second)
				if agent.CodeOf(err) != agent.CodeDeadlineExceeded {
					t.Error(err)
				}
				time.Sleep(latePing - time.Nanosecond)
				if got := told(); len(got) > 0 {
					t.Error("suspect too early:", got)
				}
				time.Sleep(2 * time.Nanosecond)
				if got := told(); !slices.Equal(got, []bool{true}) {
					t.Error(got)
				}
				<-s.Done()
				want := interval - pingLead + maxMisses*latePing
				if took := time.Since(frozen); took < want || took > want+time.Second {
					t.Errorf("the session has ended after %v, want %v", took, want)
				}
				_ = s.Close(t.Context())
				if got := told(); !slices.Equal(got, []bool{true, false}) {
					t.Error(got)
				}
			})
		})
	}
}

// One that is busy for longer than its callers have patience keeps its session, and answers the
// calls that come then.
func TestABusyServerKeepsItsSessionWhenCallersGiveUp(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told, _ := pinged(t, version, 15*time.Second)
				var all sync.WaitGroup
				all.Go(func() { _ = callFor(t.Context(), s, "block", time.Second) })
				for range 17 {
					time.Sleep(time.Second)
					all.Go(func() { _ = callFor(t.Context(), s, "well", 500*time.Millisecond) })
				}
				all.Wait()
				time.Sleep(3 * time.Second)
				if err := callFor(t.Context(), s, "well", time.Second); err != nil {
					t.Error(err)
				}
				if got := told(); !slices.Equal(got, []bool{true, false}) || s.Err() != nil {
					t.Error(got, s.Err())
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

// A flood of calls that run into their deadlines makes a ping a second at most; without pings,
// none.
func TestAFloodOfDeadlinesMakesOnePing(t *testing.T) {
	for name, c := range map[string]struct {
		interval time.Duration
		once     int // pings after the first calls
		most     int // and after ten seconds of them
	}{"pings": {time.Hour, 1, 11}, "none": {-1, 0, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, told, pings := pinged(t, "", c.interval)
				flood := func() {
					var all sync.WaitGroup
					for range 100 {
						all.Go(func() { _ = callFor(t.Context(), s, "ignore", 500*time.Millisecond) })
					}
					all.Wait()
					synctest.Wait()
				}
				time.Sleep(time.Second)
				flood()
				if got := pings(); got != c.once {
					t.Errorf("%d pings", got)
				}
				for range 20 {
					flood()
				}
				if got := pings(); got < c.once || got > c.most {
					t.Errorf("%d pings, want at most %d", got, c.most)
				}
				if got := told(); len(got) > 0 || s.Err() != nil {
					t.Error(got, s.Err())
				}
				_ = s.Close(t.Context())
			})
		})
	}
}

// Neither a server that says something while a call waits nor a caller who gives up is a reason.
func TestWhatIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, pings := pinged(t, "", time.Hour)
		var all sync.WaitGroup
		all.Go(func() { _ = callFor(t.Context(), s, "ignore", time.Second) })
		time.Sleep(500 * time.Millisecond)
		if err := callFor(t.Context(), s, "well", time.Second); err != nil {
			t.Error(err)
		}
		all.Wait()
		freeze(t, s)
		synctest.Wait()
		if got := pings(); got > 0 {
			t.Errorf("%d pings", got)
		}
		_ = s.Close(t.Context())
	})
}

// A server that refuses such pings, or fails to answer them, keeps its session.
func TestDoubtEndsNoSession(t *testing.T) {
	for name, status := range map[string]int{"refused": http.StatusBadRequest, "failed": http.StatusBadGateway} {
		t.Run(name, func(t *testing.T) {
			m, _ := newMoody(t, mcp.Streamable)
			s := mustConnect(t, Target{Transport: mcp.Streamable, URL: m.URL}, Options{PingInterval: -1})
			var pings atomic.Int64
			m.set(func(w http.ResponseWriter, _ *http.Request) { pings.Add(1); w.WriteHeader(status) })
			for range 2 * maxMisses {
				s.doubt(time.Now().Add(50 * time.Millisecond))
			}
			if n := pings.Load(); n < 2*maxMisses || s.ctx.Err() != nil {
				t.Errorf("%d pings, %v", n, s.ctx.Err())
			}
			m.mood.Store(nil)
		})
	}
}
