package client

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/openmas/openmas/agent"
)

// maxNotices is how many notices of one call wait for a caller that is slow to take them. More are
// lost.
const maxNotices = 1024

// backChannels are the calls in flight that have a back-channel: where the server's questions and
// notices find who they are for.
type backChannels struct {
	mu      sync.Mutex
	last    uint64
	byToken map[string]*backChannel
	byID    map[string]*backChannel
}

// A backChannel is one of them. A nil one is a call that nobody listens to.
type backChannel struct {
	token string // the progress token
	id    string // the call's
	back  agent.BackChannel
	ctx   context.Context // the call's

	mu         sync.Mutex
	queue      []agent.Notice
	delivering bool          // deliver runs
	closed     bool          // no more notices are taken
	drained    chan struct{} // closed when over and not busy
}

// add registers c, if it has a back-channel. close must follow.
func (fs *backChannels) add(ctx context.Context, c *agent.Call) *backChannel {
	if c.Back == nil {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byToken == nil {
		fs.byToken, fs.byID = map[string]*backChannel{}, map[string]*backChannel{}
	}
	f := newBackChannel(ctx, c.Back)
	f.token, f.id = fs.tokenLocked(), c.ID
	fs.byToken[f.token] = f
	if f.id != "" {
		fs.byID[f.id] = f
	}
	return f
}

func newBackChannel(ctx context.Context, back agent.BackChannel) *backChannel {
	return &backChannel{back: back, ctx: ctx, drained: make(chan struct{})}
}

func (fs *backChannels) tokenLocked() string {
	fs.last++
	return "om-" + strconv.FormatUint(fs.last, 10)
}

// close ends what add began.
func (fs *backChannels) close(ctx context.Context, f *backChannel) {
	if f == nil {
		return
	}
	fs.mu.Lock()
	delete(fs.byToken, f.token)
	if fs.byID[f.id] == f { // two attempts at one call have the same id
		delete(fs.byID, f.id)
	}
	fs.mu.Unlock()
	f.finish(ctx)
}

// finish ends the taking of notices. What has arrived is delivered first, as long as ctx allows.
func (f *backChannel) finish(ctx context.Context) {
	f.mu.Lock()
	f.closed = true
	if !f.delivering {
		close(f.drained)
	}
	f.mu.Unlock()
	select {
	case <-f.drained:
	case <-ctx.Done():
	}
}

// find returns the back-channel of a call id, or with none the only one there is.
func (fs *backChannels) find(id string) *backChannel {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if id != "" {
		return fs.byID[id]
	}
	if len(fs.byToken) == 1 {
		for _, f := range fs.byToken {
			return f
		}
	}
	return nil
}

// open is how many calls could be asked.
func (fs *backChannels) open() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.byToken)
}

// byProgress finds the call of a progress token.
func (fs *backChannels) byProgress(token string) *backChannel {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.byToken[token]
}

// notify queues a notice. It does not wait: the goroutine that reads for all calls must not depend
// on one caller.
func (f *backChannel) notify(log *slog.Logger, n agent.Notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || len(f.queue) >= maxNotices {
		return
	}
	f.queue = append(f.queue, n)
	if !f.delivering {
		f.delivering = true
		go f.deliver(log) // close waits for it
	}
}

// deliver hands the queue over, in its order, and ends when it is empty.
func (f *backChannel) deliver(log *slog.Logger) {
	for {
		f.mu.Lock()
		batch := f.queue
		f.queue = nil
		if len(batch) == 0 || f.ctx.Err() != nil {
			f.delivering = false
			if f.closed {
				close(f.drained)
			}
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		for _, n := range batch {
			callNotify(f.ctx, log, f.back, n)
		}
	}
}

// callNotify calls back, whose code is a stranger's.
func callNotify(ctx context.Context, log *slog.Logger, back agent.BackChannel, n agent.Notice) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "panic in a back-channel", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	back.Notify(ctx, n)
}
