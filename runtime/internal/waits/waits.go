// Package waits is what a start waits for, as the log and the status tell it.
package waits

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

// A List is what the start waits for: who, why, and since when. The zero List is empty. It is safe
// for concurrent use.
type List struct {
	mu   sync.Mutex
	open []*wait
}

type wait struct {
	who   string
	why   func() string
	most  string // its bound, and the key that sets it
	since time.Time
}

// Begin notes that who is waited for, until end is called. why may change meanwhile. key sets the
// bound of the wait; empty: there is none.
func (w *List) Begin(who string, why func() string, bound time.Duration, key string) (end func()) {
	one := &wait{who: who, why: why, since: time.Now()}
	if key != "" {
		one.most = fmt.Sprintf(", at most %v: %s", bound, key)
	}
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
func (w *List) String() string { return w.Of("") }

// Of lists those of an agent; of all when it is empty.
func (w *List) Of(name string) string {
	w.mu.Lock()
	open := slices.Clone(w.open)
	w.mu.Unlock()
	var texts []string
	for _, x := range open {
		if of, _, _ := strings.Cut(x.who, "/"); name != "" && of != name {
			continue
		}
		since := time.Since(x.since).Round(100 * time.Millisecond)
		texts = append(texts, fmt.Sprintf("%s: %s (for %v%s)", x.who, x.why(), since, x.most))
	}
	return strings.Join(texts, "; ")
}

// Names lists who is waited for: what strangers may know.
func (w *List) Names() string {
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

// Report logs who is waited for and why, until ctx ends: an agent, or all when name is empty. more
// are attributes of the line.
func (w *List) Report(ctx context.Context, log *slog.Logger, name string, more ...any) {
	w.Tell(ctx, name, func(text string) {
		log.WarnContext(ctx, "the start waits", append([]any{"for", text}, more...)...)
	})
}

// Tell is Report with another place for it than the log.
func (w *List) Tell(ctx context.Context, name string, tell func(string)) {
	timer := time.NewTimer(quietFor)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			timer.Reset(sayEvery)
		case <-ctx.Done():
			return
		}
		if text := w.Of(name); text != "" {
			tell(text)
		}
	}
}

// Because is a reason that does not change.
func Because(why string) func() string { return func() string { return why } }
