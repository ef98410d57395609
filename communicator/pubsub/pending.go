package pubsub

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
)

// pending is the correlation map of a process: who waits for what under which ref.
type pending struct {
	process string // the random id that all refs begin with
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]*waiter
	pool    sync.Pool
}

// A waiter waits for one reply or answer, and meanwhile for notices and questions. Everything
// reaches it under the lock of pending, while it is in the map: a waiter that was taken out can be
// used again.
type waiter struct {
	seq     uint64
	reply   chan reply  // one slot: there is one reply
	notices chan []byte // agent.Notice as JSON
	back    agent.BackChannel
	ctx     context.Context // for questions
	asks    *asks
	life    life
}

// life is what is known of whoever serves a call, in ticks of the pulse. Where no heartbeats are
// expected it is zero.
type life struct {
	peer     *peer // the session
	sent     int64
	heard    int64 // when it was sent, or its last heartbeat came
	accepted bool  // one came
	probed   bool  // it was asked whether anybody is there
}

// state says whether a call is to be given up. One that nobody has accepted yet may wait behind
// others: it gets more time, most of it while those are answered, and once in it a probe.
func (l *life) state(now int64) (silent, probe bool) {
	if l.accepted {
		return l.heard < now-maxSilence, false
	}
	last := max(l.heard, l.peer.heard.Load())
	probe = !l.probed && l.heard < now-maxSilence
	l.probed = l.probed || probe
	return last < now-acceptSilence || l.sent < now-acceptWithin, probe
}

// reply is what ended a call, not yet decoded.
type reply struct {
	payload []byte
	body    string
	err     *agent.Error // the frame could not be read
}

// asks are the questions that a call is answering; at most maxAsks at once.
type asks struct {
	ctx    context.Context
	cancel context.CancelFunc
	now    int
}

func newPending() *pending {
	p := &pending{process: strconv.FormatUint(rand.Uint64(), 36), waiting: map[uint64]*waiter{}}
	p.pool.New = func() any { return &waiter{reply: make(chan reply, 1), notices: make(chan []byte, maxNotices)} }
	return p
}

// add makes a waiter; back may be nil. remove must follow.
func (p *pending) add(ctx context.Context, back agent.BackChannel, l life) *waiter {
	w := p.pool.Get().(*waiter)
	w.back, w.ctx, w.life = back, ctx, l
	p.mu.Lock()
	p.last++
	w.seq = p.last
	p.waiting[w.seq] = w
	p.mu.Unlock()
	return w
}

func (p *pending) ref(w *waiter) string {
	b := make([]byte, 0, 32)
	b = append(append(b, p.process...), '-')
	return string(strconv.AppendUint(b, w.seq, 36))
}

// remove ends w. Its questions end too.
func (p *pending) remove(w *waiter) {
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

// find returns the waiter of a ref, nil when there is none (any more). The lock is held.
func (p *pending) find(ref string) *waiter {
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

// finish delivers the reply. Later ones find nobody.
func (p *pending) finish(ref string, r reply, now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.find(ref); w != nil {
		if w.life.peer != nil {
			w.life.peer.heard.Store(now)
		}
		delete(p.waiting, w.seq)
		w.reply <- r
	}
}

// finishAll delivers the same reply to everyone.
func (p *pending) finishAll(r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq, w := range p.waiting {
		delete(p.waiting, seq)
		w.reply <- r
	}
}

// beat notes a sign of life; false when nobody waits for it.
func (p *pending) beat(ref string, now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.find(ref)
	if w != nil && w.life.peer != nil {
		w.life.heard, w.life.accepted = now, true
		w.life.peer.heard.Store(now)
	}
	return w != nil
}

// finishSilent delivers r to those who have heard nothing for too long. It returns those that are
// to be probed, and whether some other expects heartbeats.
func (p *pending) finishSilent(now int64, r reply) (probes []probe, left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for seq, w := range p.waiting {
		if w.life.peer == nil {
			continue
		}
		silent, ask := w.life.state(now)
		switch {
		case silent:
			delete(p.waiting, seq)
			w.reply <- r
			continue
		case ask:
			probes = append(probes, probe{p.ref(w), w.life.peer.name})
		}
		left = true
	}
	return probes, left
}

// A probe asks whether any instance of an agent is there that may have got a call.
type probe struct{ ref, agent string }

// notice queues a notice, or drops it.
func (p *pending) notice(ref string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.find(ref); w != nil && w.back != nil {
		select {
		case w.notices <- payload:
		default:
		}
	}
}

// ask returns whom to ask and until when. done must be called after the answer.
func (p *pending) ask(ref string) (ctx context.Context, back agent.BackChannel, done func(), err *agent.Error) {
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
