package client

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/stack"
)

// maxNotices is how many notices of one call wait for a caller that is slow to take them. More are
// lost, and told when the call is over.
const maxNotices = 1024

// backChannels are the calls in flight that have a back-channel: where the server's questions and
// notices find who they are for.
type backChannels struct {
	log     *slog.Logger
	mu      sync.Mutex
	last    uint64
	byToken map[string]*backChannel
	byID    map[string]*backChannel
}

// A backChannel is one of them. A nil one is a call that nobody listens to.
type backChannel struct {
	token   string // the progress token
	id      string // the call's
	back    agent.BackChannel
	ctx     context.Context // the call's
	log     *slog.Logger
	notices calls.Notices
	pages   []string // ids of those that its user was sent to, of backChannels.mu
}

// maxVisits is how many pages a call may have open at once, as far as their end is told.
const maxVisits = 64

// add registers c, if it has a back-channel. close must follow.
func (bs *backChannels) add(ctx context.Context, c *agent.Call) *backChannel {
	if c.Back == nil {
		return nil
	}
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if bs.byToken == nil {
		bs.byToken, bs.byID = map[string]*backChannel{}, map[string]*backChannel{}
	}
	b := newBackChannel(ctx, bs.log, c.Back)
	b.token, b.id = bs.tokenLocked(), c.ID
	bs.byToken[b.token] = b
	if b.id != "" {
		bs.byID[b.id] = b
	}
	return b
}

func newBackChannel(ctx context.Context, log *slog.Logger, back agent.BackChannel) *backChannel {
	b := &backChannel{back: back, ctx: ctx, log: log}
	b.notices.Limit, b.notices.To = maxNotices, b
	return b
}

func (bs *backChannels) tokenLocked() string {
	bs.last++
	return "om-" + strconv.FormatUint(bs.last, 10)
}

// close ends what add began.
func (bs *backChannels) close(ctx context.Context, b *backChannel) {
	if b == nil {
		return
	}
	bs.mu.Lock()
	delete(bs.byToken, b.token)
	if bs.byID[b.id] == b { // two attempts at one call have the same id
		delete(bs.byID, b.id)
	}
	bs.mu.Unlock()
	b.finish(ctx)
}

// finish ends the taking of notices. What has arrived is delivered first, as long as ctx allows.
func (b *backChannel) finish(ctx context.Context) {
	select {
	case <-b.notices.Close():
	case <-ctx.Done():
	}
	if n := b.notices.Lost(); n > 0 {
		b.log.Info("notices of a call were dropped: the server sent them faster than the caller took them",
			"call", b.id, "dropped", n, "limit", maxNotices)
	}
}

// find returns the back-channel of a call id, or with none the only one there is.
func (bs *backChannels) find(id string) *backChannel {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if id != "" {
		return bs.byID[id]
	}
	if len(bs.byToken) == 1 {
		for _, b := range bs.byToken {
			return b
		}
	}
	return nil
}

// visits notes that the user of a call is sent to a page.
func (bs *backChannels) visits(b *backChannel, id string) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if id != "" && len(b.pages) < maxVisits && !slices.Contains(b.pages, id) {
		b.pages = append(b.pages, id)
	}
}

// visited returns whose user was sent to a page, and forgets it: the call with an id, or with none
// any of those in flight. nil: there is none.
func (bs *backChannels) visited(call, id string) *backChannel {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, b := range bs.byToken {
		if i := slices.Index(b.pages, id); i >= 0 && (call == "" || call == b.id) {
			b.pages = slices.Delete(b.pages, i, i+1)
			return b
		}
	}
	return nil
}

// open is how many calls could be asked.
func (bs *backChannels) open() int {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return len(bs.byToken)
}

// byProgress finds the call of a progress token.
func (bs *backChannels) byProgress(token string) *backChannel {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	return bs.byToken[token]
}

// notify queues a notice. It does not wait: the goroutine that reads for all calls must not depend
// on one caller.
func (b *backChannel) notify(n agent.Notice) {
	if err := b.notices.Add(n); err != nil {
		b.log.Debug("a notice did not reach its caller", "call", b.id, "error", err)
	}
}

// Deliver implements [calls.Receiver]: it calls the back-channel, whose code is a stranger's, until
// the call's context ends.
func (b *backChannel) Deliver(n agent.Notice) {
	if b.ctx.Err() != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			b.log.ErrorContext(b.ctx, "panic in a back-channel", "panic", fmt.Sprint(p), "stack", stack.OfPanic())
		}
	}()
	b.back.Notify(b.ctx, n)
}
