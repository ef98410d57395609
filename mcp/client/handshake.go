package client

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/openmas/openmas/mcp"
)

// maxBuild bounds how long a program may say that it is being built: between the lines
// [mcp.Building] and [mcp.Built] the handshake's time does not pass.
const maxBuild = 10 * time.Minute

// handshakeContext bounds a handshake by d, like context.WithTimeoutCause. For a launched program
// it listens in on what t says.
func handshakeContext(ctx context.Context, t *Target, d time.Duration) (context.Context, context.CancelFunc) {
	if len(t.Command) == 0 || t.Hello != nil { // one with a hello line is our own executable
		return context.WithTimeoutCause(ctx, d, errHandshake)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var mu sync.Mutex
	limit := time.AfterFunc(d, func() { cancel(errHandshake) })
	heard, building, over := t.Stderr, false, false
	t.Stderr = func(line []byte) {
		mu.Lock()
		if begins := bytes.HasPrefix(line, []byte(mcp.Building)); !over &&
			(begins && !building || building && bytes.HasPrefix(line, []byte(mcp.Built))) {
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
