package mcp

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// A program that has to be built first, as an openmas command with a package: is, says so on its
// standard error: with a line that begins with BuildingLine, and when it is done, with one that
// begins with BuiltLine. In between the handshake's time does not count, for [maxBuild] at most.
const (
	BuildingLine = "openmas: building "
	BuiltLine    = "openmas: built "
)

// maxBuild bounds how long a program may say that it is being built.
const maxBuild = 10 * time.Minute

// allow bounds a handshake by d, like context.WithTimeoutCause. For a launched program it listens
// in on what t says.
func allow(ctx context.Context, t *Target, d time.Duration) (context.Context, context.CancelFunc) {
	if len(t.Command) == 0 || t.Hello != nil { // one with a hello line is our own executable
		return context.WithTimeoutCause(ctx, d, errHandshake)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var mu sync.Mutex
	limit := time.AfterFunc(d, func() { cancel(errHandshake) })
	heard, building, over := t.Stderr, false, false
	t.Stderr = func(line []byte) {
		mu.Lock()
		if begins := bytes.HasPrefix(line, []byte(BuildingLine)); !over &&
			(begins && !building || building && bytes.HasPrefix(line, []byte(BuiltLine))) {
			wait := d
			if building = begins; begins {
				wait = maxBuild
			} else {
				over = true // once is enough
			}
			if limit.Stop() {
				limit.Reset(wait)
			}
		}
		mu.Unlock()
		if heard != nil {
			heard(line)
		}
	}
	return ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		limit.Stop()
		cancel(nil)
	}
}
