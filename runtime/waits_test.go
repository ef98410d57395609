package runtime

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Who is waited for, and why, is in the log after 5 s, and every 10 s from then on.
func TestWaitsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		var w waits
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go w.report(ctx, slog.New(slog.NewTextHandler(&log, nil)))
		lines := func() int { synctest.Wait(); return strings.Count(log.String(), "\n") }
		var step atomic.Value
		step.Store("it has not answered initialize")
		endSlow := w.begin("slow/0", func() string { return step.Load().(string) })
		endOther := w.begin("other/0", because("its Start has not returned"))
		time.Sleep(5*time.Second - 1)
		if n := lines(); n != 0 {
			t.Errorf("%d lines before 5 s", n)
		}
		time.Sleep(time.Nanosecond)
		if n := lines(); n != 1 || !strings.Contains(log.String(), `for="slow/0: it has not answered initialize `+
			`(for 5s); other/0: its Start has not returned (for 5s)"`) {
			t.Errorf("after 5 s: %s", log.String())
		}
		step.Store("it has not answered tools/list")
		endOther()
		time.Sleep(10 * time.Second)
		if n := lines(); n != 2 || !strings.HasSuffix(log.String(), "for=\"slow/0: it has not answered tools/list "+
			"(for 15s)\"\n") || w.names() != "slow" {
			t.Errorf("after 15 s: %s", log.String())
		}
		endSlow()
		time.Sleep(time.Minute)
		if n := lines(); n != 2 {
			t.Errorf("nobody is waited for: %s", log.String())
		}
	})
}

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
		if r.waits.names() != "a" {
			t.Errorf("the others wait without a word: %q", r.waits.names())
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
