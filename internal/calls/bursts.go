package calls

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/openmas/openmas/agent"
)

// FailedAlike is the message of the line about calls that resemble one that failed.
const FailedAlike = "calls failed in the same way"

// Retried is the message of the line about a call that a later attempt has saved.
const Retried = "call succeeded after a retry"

// RetriedAlike is the message of the line about calls that resemble one of those in [Retried].
const RetriedAlike = "calls succeeded after a retry in the same way"

const (
	// burstWindow is the time in which failures of one kind count as a burst, and burstLines how
	// many of them have a line of their own.
	burstWindow = 10 * time.Second
	burstLines  = 3
	// maxKinds bounds how many kinds of failure are counted at the same time; those beyond it have
	// all their lines.
	maxKinds = 256
)

// maxMessage bounds the message of a failure in the log, in bytes.
const maxMessage = 4 << 10

// A kind of failure is what equal ones have in common: everything but the numbers in the message.
type kind struct {
	line                string // of each: Failed or Retried
	agent, name, caller string
	code                agent.Code
	message             uint64
}

func (b *bursts) kindOf(line string, c *agent.Call, e *agent.Error) kind {
	var h maphash.Hash
	h.SetSeed(b.seed)
	for i := range min(len(e.Message), maxMessage) {
		if b := e.Message[i]; b < '0' || b > '9' {
			_ = h.WriteByte(b) // it never fails
		}
	}
	return kind{line, Cut(c.Agent, 64), Cut(c.Name, 256), c.From.String(), e.Code, h.Sum64()}
}

// bursts counts failures of one kind.
type bursts struct {
	log  *slog.Logger
	seed maphash.Seed

	mu     sync.Mutex
	now    map[kind]*burst
	timer  *time.Timer
	closed bool
}

type burst struct {
	since time.Time
	lines int // with a line of their own
	more  int // counted only
	level slog.Level
	last  []slog.Attr // of the last one that was only counted
}

// first reports whether a failure is to have a line of its own; otherwise it is counted.
func (b *bursts) first(k kind, level slog.Level, attrs []slog.Attr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	x := b.now[k]
	if x != nil && x.more == 0 && now.Sub(x.since) >= burstWindow {
		delete(b.now, k)
		x = nil
	}
	if x == nil {
		if b.closed || !b.room(now) {
			return true
		}
		x = &burst{since: now}
		b.now[k] = x
	}
	if x.lines < burstLines || b.closed {
		x.lines++
		return true
	}
	x.more, x.level, x.last = x.more+1, level, attrs
	if b.timer == nil {
		b.timer = time.AfterFunc(burstWindow, b.tick)
	}
	return false
}

// room reports whether one more kind can be counted.
func (b *bursts) room(now time.Time) bool {
	if b.now == nil {
		b.now = map[kind]*burst{}
	}
	if len(b.now) < maxKinds {
		return true
	}
	for k, x := range b.now {
		if x.more == 0 && now.Sub(x.since) >= burstWindow {
			delete(b.now, k)
		}
	}
	return len(b.now) < maxKinds
}

// tick reports what was counted since the last time. A burst that goes on is one line a window.
func (b *bursts) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.timer = nil
	if b.flush(); len(b.now) > 0 {
		b.timer = time.AfterFunc(burstWindow, b.tick)
	}
}

// flush writes what was counted, and forgets the kinds without any.
func (b *bursts) flush() {
	for k, x := range b.now {
		if x.more == 0 {
			delete(b.now, k)
			continue
		}
		alike := FailedAlike
		if k.line == Retried {
			alike = RetriedAlike
		}
		b.log.LogAttrs(context.Background(), x.level, alike,
			append(x.last, slog.Int("count", x.more))...)
		x.since, x.more, x.last = time.Now(), 0, nil
	}
}

// close waits for a tick that is under way.
func (b *bursts) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer != nil {
		b.timer.Stop()
	}
	b.flush()
	b.closed, b.now = true, nil
}

// Cut bounds s to n bytes, between two characters, and says how many there were.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimSpace(s[:n]) + fmt.Sprintf(" … (%d bytes)", len(s))
}
