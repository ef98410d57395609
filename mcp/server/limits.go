package server

import (
	"cmp"
	"time"

	"github.com/openmas/openmas/mcp/internal/wire"
)

// Limits bound what clients can cost a server. A zero value selects its default.
type Limits struct {
	MaxBody         int           // bytes of a POST; 4 MiB
	MaxFrame        int           // bytes of any other message, in either direction; 16 MiB
	Sessions        int           // open at once over HTTP; 1000
	SessionsKey     string        // what sets Sessions, for who is refused; mcp.max_sessions
	SessionCalls    int           // running at once on one session; 4096
	Calls           int           // running at once on one server; 16384
	Memory          int           // bytes of all payloads that wait, bodies and results; 0: no bound
	SessionMemory   int           // of those of one session, with Memory; 16 MiB, or MaxFrame if that is more
	Idle            time.Duration // without an open stream or a call, then a session may make room for another; 10 min
	Lifetime        time.Duration // of a session over HTTP, then it ends as soon as it has no call; 0: none
	CommentInterval time.Duration // of silence on an SSE stream, then a comment is sent; 15 s
	WriteTimeout    time.Duration // for a client to take what is sent; 30 s
	ReadTimeout     time.Duration // for the body of a POST to arrive; 30 s
	Linger          time.Duration // for calls still running when stdio's input ends or its context does; 20 s
	// Resume is how many bytes of what was sent over streamable HTTP are kept, in all, for clients
	// that lose a connection and come back for the rest; one session has a quarter at most. 0: none
	// is, and nothing can be resumed.
	Resume int
	// Poll closes the stream of a call that has no answer after this time, and again after as long:
	// clients of protocol 2025-11-25 come back for the answer. Only with Resume. 0: streams stay
	// open.
	Poll time.Duration
}

// WithDefaults returns l with a default in each place that is empty.
func (l Limits) WithDefaults() Limits {
	return Limits{
		MaxBody: orDefault(l.MaxBody, wire.DefaultMaxBody), MaxFrame: orDefault(l.MaxFrame, wire.DefaultMaxFrame),
		Sessions: orDefault(l.Sessions, 1000), SessionsKey: cmp.Or(l.SessionsKey, "mcp.max_sessions"),
		SessionCalls: orDefault(l.SessionCalls, 4096),
		Calls:        orDefault(l.Calls, 16384), Memory: max(l.Memory, 0),
		SessionMemory: orDefault(l.SessionMemory, max(16<<20, l.MaxFrame)),
		Idle:          orDefault(l.Idle, 10*time.Minute), Lifetime: max(l.Lifetime, 0),
		CommentInterval: orDefault(l.CommentInterval, 15*time.Second),
		WriteTimeout:    orDefault(l.WriteTimeout, 30*time.Second),
		ReadTimeout:     orDefault(l.ReadTimeout, 30*time.Second),
		Linger:          orDefault(l.Linger, 20*time.Second), Resume: l.Resume, Poll: l.Poll,
	}
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// unanswered is how many requests of one session may have no answer: those that run, and refusals
// that the client has not read yet.
func (l Limits) unanswered() int { return l.SessionCalls + 256 }
