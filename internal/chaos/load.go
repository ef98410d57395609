//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// newLoad is a load without callers.
func (t *trial) newLoad() *load {
	l := &load{cancel: func() {}}
	t.load = l
	return l
}

// begin has callers call the targets in turn, each its own, half of them over each of the HTTP
// transports. Between two calls of one there is a pause.
func (t *trial) beginLoad(ctx context.Context, url string, callers int, between time.Duration,
	targets ...target) error {
	l := t.load
	if l == nil {
		l = t.newLoad()
	}
	ctx, cancel := context.WithCancel(ctx)
	before := l.cancel
	l.cancel = func() { cancel(); before() }
	for i := range callers {
		c, err := l.dial(ctx, url, i%2 == 1)
		if err != nil {
			return fmt.Errorf("a caller: %w", err)
		}
		l.wg.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				l.ask(context.WithoutCancel(ctx), c, targets[n%len(targets)])
				pause(ctx, between)
			}
		})
	}
	return nil
}

// beginSteady calls the target once in every, however long the calls before take: of callers who
// wait for their answers all may wait at once for one that a fault has lost.
func (t *trial) beginSteady(ctx context.Context, url string, every time.Duration, to target) error {
	l := t.load
	c, err := l.dial(ctx, url, false)
	if err != nil {
		return fmt.Errorf("a caller: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	before := l.cancel
	l.cancel = func() { cancel(); before() }
	l.wg.Go(func() {
		for ctx.Err() == nil {
			l.wg.Go(func() { l.ask(context.WithoutCancel(ctx), c, to) })
			pause(ctx, every)
		}
	})
	return nil
}

// warmUp has the callers of beginLoad call for a moment, and returns what the system holds then:
// connections are open that stay open.
func (t *trial) warmUp(ctx context.Context, s *system, callers int, targets ...target) (usage, error) {
	if err := t.beginLoad(ctx, s.url, callers, 10*time.Millisecond, targets...); err != nil {
		return usage{}, err
	}
	pause(ctx, 700*time.Millisecond)
	t.load.stop()
	pause(ctx, 300*time.Millisecond)
	return s.usage(ctx)
}

// warm runs until the tool has answered, and returns the process that did.
func (t *trial) warm(ctx context.Context, url, tool string) (pid int, err error) {
	c, err := dialWeb(ctx, url)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if t.load == nil {
		t.newLoad()
	}
	a := t.load.ask(ctx, c, target{tool: tool})
	if !a.ok() {
		return 0, errors.New(tool + " does not work: " + a.text)
	}
	return a.pid, nil
}

// callers opens sessions of both kinds.
func (t *trial) callers(ctx context.Context, url string, n int) ([]client, error) {
	if t.load == nil {
		t.newLoad()
	}
	out := make([]client, n)
	for i := range out {
		c, err := t.load.dial(ctx, url, i%2 == 1)
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

// inFlight makes n calls at once. It returns once the ledger has that begun tools are at work, with
// what waits for the answers.
func (t *trial) inFlight(ctx context.Context, s *system, n, begun int, to func(i int) target) (func() []*ask, error) {
	before := t.begun()
	clients, err := t.callers(ctx, s.url, 10)
	if err != nil {
		return nil, err
	}
	done := make(chan []*ask, 1)
	go func() {
		done <- t.load.many(ctx, n, func(i int) client { return clients[i%len(clients)] }, to)
	}()
	if _, ok := eventually(ctx, 15*time.Second, func() bool { return t.begun()-before >= begun }); !ok {
		return nil, fmt.Errorf("only %d of %d calls have begun", t.begun()-before, begun)
	}
	return func() []*ask { return <-done }, nil
}
