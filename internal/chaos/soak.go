//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// soakParts are how many looks at the system there are.
const soakParts = 120

// soak has callers call every agent for a long time, at about 70 % of what the machine can do, and
// compares what the system holds in the first and in the last quarter.
func (b *bench) soak(ctx context.Context) error {
	t := &trial{bench: b, dir: b.dir, ledger: b.dir + "/ledger"}
	defer func() {
		for _, undo := range slices.Backward(t.undo) {
			undo()
		}
	}()
	s, err := t.start(ctx, "openmas", everyWay)
	if err != nil {
		return err
	}
	targets := []target{{tool: "foreign_work", safe: false}}
	for _, way := range ways {
		targets = append(targets, target{tool: way + "_work"}, target{tool: way + "_read", safe: true})
	}
	const callers = 8
	rate, err := t.rate(ctx, s, callers, targets)
	if err != nil {
		return err
	}
	// Of each caller's time seven tenths are calls.
	between := time.Duration(float64(time.Second) * callers / rate * 3 / 7)
	fmt.Fprintf(os.Stderr, "chaos: %.0f calls/s at most, %v between two of a caller\n", rate,
		between.Round(time.Microsecond))
	var looks []usage
	calls, failed := 0, 0
	for i := range soakParts {
		if err := t.beginLoad(ctx, s.url, callers, between, targets...); err != nil {
			return err
		}
		pause(ctx, b.long/soakParts)
		t.load.stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// What the callers saw and the ledger are of this part only: they must not grow either.
		t.judge(time.Time{})
		all := t.load.all()
		calls += len(all)
		for _, a := range all {
			if !a.ok() {
				failed++
			}
		}
		t.newLoad()
		if err := os.Truncate(t.ledger, 0); err != nil {
			return err
		}
		u, err := s.usage(ctx)
		if err != nil {
			return err
		}
		looks = append(looks, u)
		if i%(soakParts/12) == 0 {
			fmt.Fprintf(os.Stderr, "chaos: %d calls, %d failed: heap %d KiB, %d goroutines, %d descriptors, %d MiB\n",
				calls, failed, u.heap>>10, u.goroutines, u.files, u.rss)
		}
	}
	first, last := mean(looks[:soakParts/4]), mean(looks[soakParts*3/4:])
	if _, err := fmt.Fprintf(os.Stdout, "%d calls in %v, %d failed\n%-12s %12s %12s %8s\n", calls, b.long, failed, "",
		"first", "last", "grew"); err != nil {
		return err
	}
	for _, x := range []struct {
		what        string
		first, last float64
		limit       float64
	}{
		{"live heap", float64(first.heap), float64(last.heap), 0.03},
		{"goroutines", float64(first.goroutines), float64(last.goroutines), 0.03},
		{"descriptors", float64(first.files), float64(last.files), 0.03},
		{"RSS", float64(first.rss), float64(last.rss), 0.10},
	} {
		grew := x.last/x.first - 1
		if _, err := fmt.Fprintf(os.Stdout, "%-12s %12.0f %12.0f %+7.1f%%\n", x.what, x.first, x.last,
			100*grew); err != nil {
			return err
		}
		if grew > x.limit {
			t.broken("%s grew by %.1f %%, %.0f are allowed", x.what, 100*grew, 100*x.limit)
		}
	}
	if failed > 0 {
		t.broken("%d calls failed", failed)
	}
	if len(t.Broken) > 0 {
		return fmt.Errorf("promises were broken: %s", t.Broken)
	}
	return nil
}

// rate is how many calls a second the callers get done without a pause.
func (t *trial) rate(ctx context.Context, s *system, callers int, targets []target) (float64, error) {
	const lasts = 3 * time.Second
	began := time.Now()
	if err := t.beginLoad(ctx, s.url, callers, 0, targets...); err != nil {
		return 0, err
	}
	pause(ctx, lasts)
	t.load.stop()
	n := float64(len(t.load.all())) / time.Since(began).Seconds()
	t.newLoad()
	return n, os.Truncate(t.ledger, 0)
}

func mean(looks []usage) (sum usage) {
	for _, u := range looks {
		sum.heap += u.heap
		sum.goroutines += u.goroutines
		sum.files += u.files
		sum.rss += u.rss
	}
	n := len(looks)
	return usage{goroutines: sum.goroutines / n, files: sum.files / n, heap: sum.heap / uint64(n), rss: sum.rss / n}
}
