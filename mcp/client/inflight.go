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

// flights are the calls in flight that have a back-channel: where the server's questions and
// notices find who they are for.
type flights struct {
	mu      sync.Mutex
	last    uint64
	byToken map[string]*flight
	byID    map[string]*flight
	marks   map[string]chan struct{}
}

// A flight is one of them. A nil flight is a call that nobody listens to.
type flight struct {
	token string // the progress token
	id    string // the call's
	back  agent.BackChannel
	ctx   context.Context // the call's

	mu      sync.Mutex
	queue   []agent.Notice
	busy    bool          // deliver runs
	over    bool          // no more notices are taken
	drained chan struct{} // closed when over and not busy
}

// take registers c, if it has a back-channel. land must follow.
func (fs *flights) take(ctx context.Context, c *agent.Call) *flight {
	if c.Back == nil {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byToken == nil {
		fs.byToken, fs.byID = map[string]*flight{}, map[string]*flight{}
	}
	f := newFlight(ctx, c.Back)
	f.token, f.id = fs.tokenLocked(), c.ID
	fs.byToken[f.token] = f
	if f.id != "" {
		fs.byID[f.id] = f
	}
	return f
}

func newFlight(ctx context.Context, back agent.BackChannel) *flight {
	return &flight{back: back, ctx: ctx, drained: make(chan struct{})}
}

func (fs *flights) tokenLocked() string {
	fs.last++
	return "om-" + strconv.FormatUint(fs.last, 10)
}

// land ends the flight that take began.
func (fs *flights) land(ctx context.Context, f *flight) {
	if f == nil {
		return
	}
	fs.mu.Lock()
	delete(fs.byToken, f.token)
	if fs.byID[f.id] == f { // two attempts at one call have the same id
		delete(fs.byID, f.id)
	}
	fs.mu.Unlock()
	f.drain(ctx)
}

// drain ends the taking of notices. What has arrived is delivered first, as long as ctx allows.
func (f *flight) drain(ctx context.Context) {
	f.mu.Lock()
	f.over = true
	if !f.busy {
		close(f.drained)
	}
	f.mu.Unlock()
	select {
	case <-f.drained:
	case <-ctx.Done():
	}
}

// find returns the flight of a call id, or with none the only one there is.
func (fs *flights) find(id string) *flight {
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

// progress finds the flight of a progress token. The token of a mark reaches it.
func (fs *flights) progress(token string) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if m, ok := fs.marks[token]; ok {
		close(m)
		delete(fs.marks, token)
	}
	return fs.byToken[token]
}

// mark makes a progress token and a channel that is closed when it arrives. forget must follow.
func (fs *flights) mark() (token string, reached <-chan struct{}, forget func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.marks == nil {
		fs.marks = map[string]chan struct{}{}
	}
	token = fs.tokenLocked()
	m := make(chan struct{})
	fs.marks[token] = m
	return token, m, func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		delete(fs.marks, token)
	}
}

// tell queues a notice. It does not wait: the goroutine that reads for all calls must not depend on
// one caller.
func (f *flight) tell(log *slog.Logger, n agent.Notice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || len(f.queue) >= maxNotices {
		return
	}
	f.queue = append(f.queue, n)
	if !f.busy {
		f.busy = true
		go f.deliver(log) // land waits for it
	}
}

// deliver hands the queue over, in its order, and ends when it is empty.
func (f *flight) deliver(log *slog.Logger) {
	for {
		f.mu.Lock()
		batch := f.queue
		f.queue = nil
		if len(batch) == 0 || f.ctx.Err() != nil {
			f.busy = false
			if f.over {
				close(f.drained)
			}
			f.mu.Unlock()
			return
		}
		f.mu.Unlock()
		for _, n := range batch {
			notify(f.ctx, log, f.back, n)
		}
	}
}

// notify calls back, whose code is a stranger's.
func notify(ctx context.Context, log *slog.Logger, back agent.BackChannel, n agent.Notice) {
	defer func() {
		if p := recover(); p != nil {
			log.ErrorContext(ctx, "panic in a back-channel", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	back.Notify(ctx, n)
}
