package pubsub

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
)

// pendingReplies is the correlation map of a process: which goroutine waits for the reply to which
// ref.
type pendingReplies struct {
	process string // the random id that all refs begin with
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*pendingReply
	pool    sync.Pool
}

// A pendingReply waits for the reply to a call, or for the answer to a question. Until then it also
// takes notices and questions. Everything reaches it under the lock of the map and while it is in
// the map, so one that was removed can be used again.
type pendingReply struct {
	seq     uint64
	reply   chan reply  // one slot: there is one reply
	notices chan []byte // agent.Notice as JSON
	back    agent.BackChannel
	ctx     context.Context // for questions
	asks    *asks
	live    liveness
}

// reply is what ended a call, not yet decoded.
type reply struct {
	payload []byte
	body    string
	err     *agent.Error // the frame could not be read, or there will be none
}

// asks are the questions that the caller of one call is answering: at most maxAsks at once.
type asks struct {
	ctx    context.Context
	cancel context.CancelFunc
	now    int
}

func newPendingReplies() *pendingReplies {
	p := &pendingReplies{process: strconv.FormatUint(rand.Uint64(), 36), waiting: map[uint64]*pendingReply{}}
	p.pool.New = func() any { return &pendingReply{reply: make(chan reply, 1), notices: make(chan []byte, maxNotices)} }
	return p
}

// add makes a pendingReply; back may be nil. remove must follow.
func (p *pendingReplies) add(ctx context.Context, back agent.BackChannel, l liveness) *pendingReply {
	w := p.pool.Get().(*pendingReply)
	w.back, w.ctx, w.live = back, ctx, l
	p.mu.Lock()
	p.last++
	w.seq = p.last
	p.waiting[w.seq] = w
	p.mu.Unlock()
	return w
}

func (p *pendingReplies) ref(w *pendingReply) string {
	b := make([]byte, 0, 32)
	b = append(append(b, p.process...), '-')
	return string(strconv.AppendUint(b, w.seq, 36))
}

// remove ends w, and the questions that are being answered for it.
func (p *pendingReplies) remove(w *pendingReply) {
	p.mu.Lock()
	delete(p.waiting, w.seq)
	p.mu.Unlock()
	if w.asks != nil {
		w.asks.cancel()
	}
	select {
	case <-w.reply:
	default:
	}
	for len(w.notices) > 0 {
		<-w.notices
	}
	w.back, w.ctx, w.asks = nil, nil, nil
	p.pool.Put(w)
}

// find returns what waits under a ref, or nil. The lock is held.
func (p *pendingReplies) find(ref string) *pendingReply {
	process, n, ok := strings.Cut(ref, "-")
	if !ok || process != p.process {
		return nil
	}
	seq, err := strconv.ParseUint(n, 36, 64)
	if err != nil {
		return nil
	}
	return p.waiting[seq]
}

// finish delivers the reply. A second one is ignored.
func (p *pendingReplies) finish(ref string, r reply, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.find(ref); w != nil {
		if w.live.session != nil {
			w.live.session.lastSign.Store(now)
		}
		delete(p.waiting, w.seq)
		w.reply <- r
	}
}

// finishAll delivers the same reply to all.
func (p *pendingReplies) finishAll(r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq, w := range p.waiting {
		delete(p.waiting, seq)
		w.reply <- r
	}
}

// finishLost delivers r to the calls that are lost. It returns the calls that are to be probed, and
// whether others expect heartbeats.
func (p *pendingReplies) finishLost(now int64, r reply) (probes []probe, left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq, w := range p.waiting {
		if w.live.session == nil {
			continue
		}
		lost, ask := w.live.check(now)
		switch {
		case lost:
			delete(p.waiting, seq)
			w.reply <- r
			continue
		case ask:
			probes = append(probes, probe{p.ref(w), w.live.session.agent})
		}
		left = true
	}
	return probes, left
}

// A probe asks whether any instance of an agent subscribes that may have got a call.
type probe struct{ ref, agent string }

// heartbeat notes a heartbeat. It reports whether a call waits under the ref.
func (p *pendingReplies) heartbeat(ref string, now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.find(ref)
	if w != nil && w.live.session != nil {
		w.live.lastBeat, w.live.accepted = now, true
		w.live.session.lastSign.Store(now)
	}
	return w != nil
}

// notice queues a notice, or drops it.
func (p *pendingReplies) notice(ref string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.find(ref); w != nil && w.back != nil {
		select {
		case w.notices <- payload:
		default:
		}
	}
}

// ask returns the back-channel that answers a question about a call, and the context for it. done
// must be called after the answer.
func (p *pendingReplies) ask(ref string) (ctx context.Context, back agent.BackChannel, done func(), err *agent.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.find(ref)
	if w == nil {
		return nil, nil, nil, agent.Errorf(agent.CodeCanceled, "the call is over")
	}
	if w.back == nil {
		return nil, nil, nil, agent.Errorf(agent.CodeUnavailable, "the caller answers no questions")
	}
	if w.asks == nil {
		w.asks = &asks{}
		w.asks.ctx, w.asks.cancel = context.WithCancel(w.ctx)
	}
	a := w.asks
	if a.now == maxAsks {
		return nil, nil, nil, agent.Errorf(agent.CodeResourceExhausted, "%d questions of one call at once are too many",
			maxAsks+1)
	}
	a.now++
	return a.ctx, w.back, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		a.now--
	}, nil
}
