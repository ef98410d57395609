//go:build linux

package main

import (
	"context"
	"strings"
	"time"
)

func linkRows() []row {
	return []row{
		{"cut-sse", "link to an SSE server cut, three times", true, linkCut("sse")},
		{"cut-http", "link to an HTTP server cut, three times", true, linkCut("mcp")},
		{"half-open-sse", "half-open link to an SSE server for 8 s", false, halfOpen("sse")},
		{"half-open-http", "half-open link to an HTTP server for 8 s", false, halfOpen("mcp")},
	}
}

const farYAML = `
project: far
gateway: {listen: "127.0.0.1:0"}
agents:
  far: {type: tally, config: {ledger: LEDGER}}
`

// linked starts two systems with a proxy between them. A call that was sent is not made again: the
// other system is foreign.
func linked(ctx context.Context, t *trial, path string) (*system, *proxy, usage, error) {
	far, err := t.start(ctx, "far", farYAML)
	if err != nil {
		return nil, nil, usage{}, err
	}
	p, err := t.proxy(ctx, strings.TrimPrefix(far.url, "http://"))
	if err != nil {
		return nil, nil, usage{}, err
	}
	s, err := t.start(ctx, "openmas", `
project: chaos
defaults: {timeout: 3s}
gateway: {listen: "127.0.0.1:0"}
agents:
  here: {type: tally, config: {ledger: LEDGER}}
  far: {url: "http://`+p.addr+`/agents/far/`+path+`"}
`)
	if err != nil {
		return nil, nil, usage{}, err
	}
	if _, err := t.warm(ctx, s.url, "far_work"); err != nil {
		return nil, nil, usage{}, err
	}
	targets := []target{{tool: "here_work", ms: 5}, {tool: "far_work", ms: 30}}
	before, err := t.warmUp(ctx, s, 8, targets...)
	if err != nil {
		return nil, nil, usage{}, err
	}
	return s, p, before, t.beginLoad(ctx, s.url, 8, 10*time.Millisecond, targets...)
}

func linkCut(path string) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		s, p, before, err := linked(ctx, t, path)
		if err != nil {
			return err
		}
		for range 3 {
			pause(ctx, time.Second)
			fault := time.Now()
			p.cut()
			pause(ctx, 2500*time.Millisecond)
			asks := of(t.load.all(), "far_work")
			if d, ok := firstFailed(asks, fault); ok {
				t.Detected = max(t.Detected, d)
			}
			worst := t.Recovered
			t.recovered(asks, fault, 2*time.Second)
			t.Recovered = max(t.Recovered, worst)
		}
		t.load.stop()
		t.nothingFailed(of(t.load.all(), "here_work"))
		t.compare(ctx, s, before)
		t.judge(time.Time{})
		return nil
	}
}

func halfOpen(path string) func(context.Context, *trial) error {
	const timeout = 3 * time.Second
	return func(ctx context.Context, t *trial) error {
		s, p, before, err := linked(ctx, t, path)
		if err != nil {
			return err
		}
		pause(ctx, time.Second)
		fault := time.Now()
		p.block()
		pause(ctx, 8*time.Second)
		p.heal()
		healed := time.Now()
		pause(ctx, 4*time.Second)
		t.load.stop()
		asks := of(t.load.all(), "far_work")
		t.Detected, _ = firstFailed(asks, fault)
		t.within("the slowest call was answered", slowest(asks), timeout+500*time.Millisecond)
		t.recovered(asks, healed, 2*time.Second)
		t.nothingFailed(of(t.load.all(), "here_work"))
		t.compare(ctx, s, before)
		t.judge(time.Time{})
		return nil
	}
}
