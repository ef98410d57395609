package wire

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// maxJunk is how much that is no message a peer may send before its first message, in bytes:
	// one that speaks something else is found out before the handshake's time is over.
	maxJunk = 4 << 20
	// junkBurst bytes in a row are followed by a pause of junkPause, so that a peer that never
	// stops costs little.
	junkBurst = 1 << 20
	junkPause = 100 * time.Millisecond
	// junkSummary is the time between two warnings about one peer.
	junkSummary = time.Minute
)

// junk counts what a peer sends and is no message. It costs itself only: many programs log to
// their standard output. The first is a warning, and so is now and then how many there were.
type junk struct {
	log  *slog.Logger
	kind string          // what comes: "line"
	done <-chan struct{} // closed when the connection ends

	heard  bool // a message has come
	bytes  int  // in a row
	paused int  // of these, when there was a pause
	total  atomic.Int64
	untold int // since the last warning
	last   atomic.Pointer[string]
	said   time.Time // the last warning; zero: there was none
	summed bool      // one told how many there were
}

// add counts data, which could not be read for the reason why. The error ends the connection.
func (j *junk) add(data []byte, why error) error {
	j.total.Add(1)
	j.untold++
	j.bytes += len(data) + 1
	last := clip(data, 200)
	j.last.Store(&last)
	if now := time.Now(); j.said.IsZero() || now.Sub(j.said) >= junkSummary {
		j.warn(now, why)
	} else if ctx := context.Background(); j.log.Enabled(ctx, slog.LevelDebug) {
		j.log.DebugContext(ctx, "skipped a "+j.kind+" that is not an MCP message", j.kind, last, "reason", why)
	}
	if !j.heard && j.bytes > maxJunk {
		return fmt.Errorf("%w: %d %ss and no message, the last was %q", ErrGarbage, j.total.Load(), j.kind,
			clip(data, 100))
	}
	if j.bytes-j.paused >= junkBurst {
		j.paused = j.bytes
		within(junkPause, j.done)
	}
	return nil
}

// message notes that a message has come.
func (j *junk) message() {
	j.heard = true
	if j.bytes > 0 {
		j.bytes, j.paused = 0, 0
		if now := time.Now(); j.untold > 0 && (!j.summed || now.Sub(j.said) >= junkSummary) {
			j.summed = true
			j.warn(now, nil)
		}
	}
}

// end tells what was not told yet.
func (j *junk) end() {
	if j.untold > 0 {
		j.warn(time.Now(), nil)
	}
}

func (j *junk) warn(now time.Time, why error) {
	last := *j.last.Load()
	if j.total.Load() == 1 {
		j.log.Warn("skipped a "+j.kind+" that is not an MCP message", j.kind, last, "reason", why)
	} else {
		j.log.Warn("skipped "+j.kind+"s that are not MCP messages", "count", j.untold, "in_all", j.total.Load(), "last",
			last)
	}
	j.untold, j.said = 0, now
}
