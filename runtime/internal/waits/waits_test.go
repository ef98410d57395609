package waits

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// Who is waited for, and why, is in the log after 5 s, and every 10 s from then on.
func TestWaitsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testkit.Buffer
		var w List
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go w.Report(ctx, slog.New(slog.NewTextHandler(&log, nil)), "", "start.wait", 30*time.Second)
		lines := func() int { synctest.Wait(); return strings.Count(log.String(), "\n") }
		var step atomic.Value
		step.Store("it has not answered initialize")
		endSlow := w.Begin("slow/0", func() string { return step.Load().(string) }, time.Minute, "start.timeout")
		endOther := w.Begin("other/0", Because("its Start has not returned"), 0, "")
		time.Sleep(5*time.Second - 1)
		if n := lines(); n != 0 {
			t.Errorf("%d lines before 5 s", n)
		}
		time.Sleep(time.Nanosecond)
		if n := lines(); n != 1 || !strings.Contains(log.String(), `for="slow/0: it has not answered initialize `+
			`(for 5s, at most 1m0s: start.timeout); other/0: its Start has not returned (for 5s)" start.wait=30s`) {
			t.Errorf("after 5 s: %s", log.String())
		}
		step.Store("it has not answered tools/list")
		endOther()
		time.Sleep(10 * time.Second)
		if n := lines(); n != 2 || !strings.HasSuffix(log.String(), "for=\"slow/0: it has not answered tools/list "+
			"(for 15s, at most 1m0s: start.timeout)\" start.wait=30s\n") || w.Names() != "slow" {
			t.Errorf("after 15 s: %s", log.String())
		}
		endSlow()
		time.Sleep(time.Minute)
		if n := lines(); n != 2 {
			t.Errorf("nobody is waited for: %s", log.String())
		}
	})
}
