package runtime

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// So many processes start at once, and one that takes long does not hold up the others.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Runtime{turns: make(chan struct{}, 2)}
		var starting, most atomic.Int32
		start := func(takes time.Duration) {
			done, err := r.turn(t.Context(), "a/0")
			if err != nil {
				t.Error(err)
				return
			}
			if n := starting.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(takes)
			starting.Add(-1)
			done()
		}
		for range 6 {
			go start(time.Second)
		}
		synctest.Wait()
		if r.waits.Names() != "a" {
			t.Errorf("the others wait without a word: %q", r.waits.Names())
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if starting.Load() != 0 || most.Load() != 2 {
			t.Errorf("%d at once, %d still start", most.Load(), starting.Load())
		}
		began := time.Now()
		go start(time.Hour)
		go start(time.Hour)
		synctest.Wait()
		start(0)
		if took := time.Since(began); took != slotTime {
			t.Errorf("two slow ones held up the third for %v", took)
		}
		go start(time.Hour)
		go start(time.Hour)
		synctest.Wait()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("--timeout"))
		defer cancel()
		if _, err := r.turn(ctx, "b/0"); err == nil || !strings.Contains(err.Error(), "given up (--timeout)") ||
			!strings.Contains(err.Error(), "b/0: 2 other processes start at the same time (start.parallel)") {
			t.Error(err)
		}
		time.Sleep(2 * time.Hour)
	})
}
