package supervise

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
)

func TestReconnectNeverGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, began := 0, time.Now()
		var waits []time.Duration
		err := Reconnect(t.Context(), growing, func(context.Context) error {
			switch n++; n {
			case 1000:
				return nil
			case 7:
				panic("half a handshake")
			}
			return errBoom
		}, func(attempt int, wait time.Duration, err error) {
			if attempt != n || err == nil {
				t.Errorf("told of attempt %d, %v", attempt, err)
			}
			waits = append(waits, wait)
		})
		if err != nil || n != 1000 {
			t.Fatal(n, err)
		}
		total := time.Duration(0)
		base := float64(time.Second)
		for i, w := range waits {
			if lo, hi := 0.8*base, 1.2*base+1; float64(w) < lo || float64(w) > hi {
				t.Fatalf("wait %d is %v", i, w)
			}
			base = min(base*1.6, float64(30*time.Second))
			total += w
		}
		if time.Since(began) != total {
			t.Errorf("took %v, said %v", time.Since(began), total)
		}
	})
}

func TestReconnectHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		later := []time.Duration{100 * time.Second, 24 * time.Hour}
		err := Reconnect(t.Context(), growing, func(context.Context) error {
			if len(waits) == len(later) {
				return nil
			}
			e := agent.Refusedf(agent.CodeUnavailable, "busy")
			e.RetryAfter = later[len(waits)]
			return e
		}, func(_ int, wait time.Duration, _ error) { waits = append(waits, wait) })
		if want := []time.Duration{100 * time.Second, 300 * time.Second}; err != nil || !slices.Equal(waits, want) {
			t.Error(waits, err)
		}
	})
}

func TestReconnectStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := Reconnect(ctx, growing, func(context.Context) error { return errBoom }, nil)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errBoom) || time.Since(began) != time.Minute {
			t.Error(err, time.Since(began))
		}
		if err := Reconnect(ctx, growing, func(context.Context) error {
			t.Error("it tried")
			return nil
		}, nil); err != context.DeadlineExceeded {
			t.Error(err)
		}
	})
}
