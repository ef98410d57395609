//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A target is a tool that callers call again and again.
type target struct {
	tool string // its name on the gateway
	safe bool   // it may run twice
	ms   int    // how long it takes
	job  map[string]any
}

// An ask is one call, as its caller saw it.
type ask struct {
	id, tool     string
	safe         bool
	began, ended time.Time
	code         string // empty when all went well
	text         string
	notRun       bool // the error says that the tool did not run
	none         bool // there was no answer
	wrong        bool // it was that of another call
	pid          int
}

func (a *ask) ok() bool { return a.code == "" && !a.none && !a.wrong }

// A load is callers that call. What they saw is gathered.
type load struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	asks    []*ask
	clients []client
}

// patience is how long a caller waits for an answer: longer than any timeout of the projects.
const patience = 40 * time.Second

// ids are unique over all trials of this process.
var ids atomic.Int64

// dial opens a session that ends with the load.
func (l *load) dial(ctx context.Context, url string, sse bool) (c client, err error) {
	if sse {
		c, err = dialStream(ctx, url)
	} else {
		c, err = dialWeb(ctx, url)
	}
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients = append(l.clients, c)
	return c, nil
}

// ask makes one call, and notes it.
func (l *load) ask(ctx context.Context, c client, to target) *ask {
	a := &ask{id: fmt.Sprintf("c%d", ids.Add(1)), tool: to.tool, safe: to.safe}
	job := map[string]any{"id": a.id, "ms": to.ms}
	for k, v := range to.job {
		job[k] = v
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a.began = time.Now()
	got, err := c.call(ctx, to.tool, job)
	a.ended = time.Now()
	a.code, a.text, a.notRun, a.pid = got.code, got.text, got.notRun, got.job.PID
	switch {
	case errors.Is(err, errRefused):
		a.code, a.notRun = "refused", true
	case errors.Is(err, errWrong):
		a.wrong, a.text = true, err.Error()
	case err != nil:
		a.none, a.text = true, err.Error()
	case got.code == "" && strings.TrimLeft(got.job.ID, "\ufffd") != a.id: // those are what was not UTF-8
		a.wrong, a.text = true, fmt.Sprintf("%s was answered with %.100s", a.id, got.text)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = append(l.asks, a)
	return a
}

// many makes n calls at once, and waits for all.
func (l *load) many(ctx context.Context, n int, c func(i int) client, to func(i int) target) []*ask {
	out := make([]*ask, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { out[i] = l.ask(ctx, c(i), to(i)) })
	}
	all.Wait()
	return out
}

// stop ends the callers once their calls have ended, and their sessions.
func (l *load) stop() {
	l.cancel()
	l.wg.Wait()
	l.mu.Lock()
	clients := l.clients
	l.clients = nil
	l.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(c.close)
	}
	all.Wait()
}

// all returns what was asked so far, in the order in which it began.
func (l *load) all() []*ask {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.asks)
	slices.SortFunc(out, func(a, b *ask) int { return a.began.Compare(b.began) })
	return out
}

// of are those of the asks that have the tools.
func of(asks []*ask, tools ...string) []*ask {
	return slices.DeleteFunc(slices.Clone(asks), func(a *ask) bool { return !slices.Contains(tools, a.tool) })
}

// firstFailed is how long after the fault the first call failed.
func firstFailed(asks []*ask, fault time.Time) (d time.Duration, ok bool) {
	for _, a := range asks {
		if at := a.ended.Sub(fault); !a.ok() && at >= 0 && (!ok || at < d) {
			d, ok = at, true
		}
	}
	return d, ok
}

// firstOK is how long after the fault, or its end, the first call ended well that began after it.
func firstOK(asks []*ask, since time.Time) (d time.Duration, ok bool) {
	for _, a := range asks {
		if at := a.ended.Sub(since); a.ok() && a.began.After(since) && (!ok || at < d) {
			d, ok = at, true
		}
	}
	return d, ok
}

// slowest is how long the slowest of the calls took.
func slowest(asks []*ask) (d time.Duration) {
	for _, a := range asks {
		d = max(d, a.ended.Sub(a.began))
	}
	return d
}

// p99 is how long all but one of a hundred of the calls took at most.
func p99(asks []*ask) time.Duration {
	if len(asks) == 0 {
		return 0
	}
	all := make([]time.Duration, len(asks))
	for i, a := range asks {
		all[i] = a.ended.Sub(a.began)
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}
