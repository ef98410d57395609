package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// quietFor is how long the start waits without a word, sayEvery the time between two words.
	quietFor = 5 * time.Second
	sayEvery = 10 * time.Second
)

// waits are what the start waits for: who, why, and since when.
type waits struct {
	mu   sync.Mutex
	open []*wait
}

type wait struct {
	who   string
	why   func() string
	since time.Time
}

// begin notes that who is waited for, until end is called. why may change meanwhile.
func (w *waits) begin(who string, why func() string) (end func()) {
	one := &wait{who: who, why: why, since: time.Now()}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = append(w.open, one)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.open = slices.DeleteFunc(w.open, func(x *wait) bool { return x == one })
	}
}

// String lists them, the longest wait first; empty: there is none.
func (w *waits) String() string {
	w.mu.Lock()
	open := slices.Clone(w.open)
	w.mu.Unlock()
	texts := make([]string, len(open))
	for i, x := range open {
		texts[i] = fmt.Sprintf("%s: %s (for %v)", x.who, x.why(), time.Since(x.since).Round(100*time.Millisecond))
	}
	return strings.Join(texts, "; ")
}

// names lists who is waited for: what strangers may know.
func (w *waits) names() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, x := range w.open {
		if name, _, _ := strings.Cut(x.who, "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// report logs who is waited for and why, until ctx ends.
func (w *waits) report(ctx context.Context, log *slog.Logger) {
	timer := time.NewTimer(quietFor)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(sayEvery)
		case <-ctx.Done():
			return
		}
		if text := w.String(); text != "" {
			log.WarnContext(ctx, "the start waits", "for", text)
		}
	}
}

// because is a reason that does not change.
func because(why string) func() string { return func() string { return why } }
