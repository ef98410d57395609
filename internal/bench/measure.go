package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// message is what is echoed.
const message = "hello, agent number forty-two"

// input is what the tool takes, in all servers.
type input struct {
	Msg string `json:"msg" jsonschema:"what to say"`
}

// A caller is a session of some client. call calls a tool with a message and returns the text of
// the result.
type caller interface {
	call(ctx context.Context, tool, msg string) (string, error)
	close()
}

// A variant is a client and the server that it talks to.
type variant struct {
	name string
	dial func(context.Context) (caller, error)
}

// result is one measurement.
type result struct {
	ops            float64 // a second
	p50, p99       time.Duration
	client, server use // per call
}

// use is what a process has used, or uses for one call.
type use struct {
	Mallocs float64
	CPU     float64 // µs
}

func (u use) since(before use, calls int) use {
	n := float64(calls)
	return use{(u.Mallocs - before.Mallocs) / n, (u.CPU - before.CPU) / n}
}

func ownUse() use {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return use{float64(m.Mallocs), micros(cpuTime())}
}

// measure opens a session and makes calls on it for some time, from n goroutines.
func (v variant) measure(ctx context.Context, n int, span time.Duration) (result, error) {
	c, err := v.dial(ctx)
	if err != nil {
		return result{}, err
	}
	defer c.close()
	if _, err := load(ctx, c, n, span/5); err != nil { // to warm up
		return result{}, err
	}
	before, err := serverUse(ctx, c)
	if err != nil {
		return result{}, err
	}
	own := ownUse()
	start := time.Now()
	times, err := load(ctx, c, n, span)
	if err != nil {
		return result{}, err
	}
	took := time.Since(start)
	own = ownUse().since(own, len(times))
	after, err := serverUse(ctx, c)
	if err != nil {
		return result{}, err
	}
	slices.Sort(times)
	return result{ops: float64(len(times)) / took.Seconds(), p50: times[len(times)/2], p99: times[len(times)*99/100],
		client: own, server: after.since(before, len(times))}, nil
}

// load is the durations of all calls that n goroutines make one after the other.
func load(ctx context.Context, c caller, n int, span time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, span+30*time.Second)
	defer cancel()
	end := time.Now().Add(span)
	all := make([][]time.Duration, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			times := make([]time.Duration, 0, 1<<14)
			for start := time.Now(); start.Before(end); {
				text, err := c.call(ctx, "echo", message)
				if err == nil && text != message {
					err = fmt.Errorf("the echo is %q", text)
				}
				if err != nil {
					errs[i] = err
					return
				}
				now := time.Now()
				times = append(times, now.Sub(start))
				start = now
			}
			all[i] = times
		})
	}
	wg.Wait()
	times := slices.Concat(all...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(times) == 0 {
		return nil, errors.New("not one call")
	}
	return times, nil
}

// readStats is what a server's tool "stats" says.
func readStats() string {
	b, err := json.Marshal(ownUse())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func serverUse(ctx context.Context, c caller) (u use, err error) {
	text, err := c.call(ctx, "stats", "")
	if err != nil {
		return u, err
	}
	if err := json.Unmarshal([]byte(text), &u); err != nil {
		return u, fmt.Errorf("stats %q: %w", text, err)
	}
	return u, nil
}
