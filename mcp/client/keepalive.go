package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/child"
)

const (
	pingTimeout = 5 * time.Second
	maxMisses   = 3
	// probeAgain is how long a ping that was answered well counts.
	probeAgain = time.Second
	// latePing is how long a ping may go unanswered before the server is suspect, and how often it
	// is asked again from then on.
	latePing = 2 * time.Second
	// pingLead is how long before the end of the interval a silent server is pinged: a late answer
	// is known, and told, before that end.
	pingLead = latePing + 500*time.Millisecond
)

// keepAlive pings a server that says nothing, so early that one that does not answer is suspect
// before it has said nothing for PingInterval. It is asked again.
// After three pings without a byte from it the session is over, if no call waits for it: a frozen
// program, a connection that leads nowhere. While calls wait, silence is no proof, because some
// servers do nothing else while they work on one. Then the session is over when the deadlines of
// all that it had at the first of these pings have passed.
// A call that ran into its deadline in silence has the server asked at once, see doubt.
func (s *Session) keepAlive() {
	if s.opts.PingInterval < 0 {
		return
	}
	defer s.suspect(false)
	idle := s.opts.PingInterval - min(pingLead, s.opts.PingInterval/2)
	timer := time.NewTimer(idle)
	defer timer.Stop()
	next, refused := time.Now().Add(idle), 0 // next is when the timer fires
	wait := func(d time.Duration) {
		timer.Reset(d)
		next = time.Now().Add(d)
	}
	for {
		select {
		case <-timer.C:
		case <-s.life.silent:
			due := s.life.last().Add(idle)
			if next.After(due) {
				due = next
			}
			s.doubt(due)
			continue
		case <-s.ctx.Done():
			return
		}
		if quiet := s.life.quiet(); quiet < idle {
			refused = 0
			wait(idle - quiet)
			continue
		}
		sign, pings := s.insist()
		s.life.settle()
		switch {
		case s.ctx.Err() != nil:
			return
		case sign.alive:
			refused = 0
		case sign.refused:
			if refused++; refused == maxMisses {
				s.end(fmt.Errorf("the session ended: the server refused the last of %d pings: it has forgotten the "+
					"session", refused))
				return
			}
		default:
			s.end(fmt.Errorf("the session ended: %w", &PingError{pings}))
			return
		}
		wait(idle)
	}
}

// doubt asks for a sign of life from a server that said nothing while a call ran into its deadline.
// It is suspect when the answer is late, and asked again until it answers, or until due, when it is
// pinged anyway. What comes of these pings ends no session: a server may be busy with that call, as
// one is whose tools block it, and callers may have less patience than it needs. It is asked once
// in probeAgain at most.
func (s *Session) doubt(due time.Time) {
	for {
		asked := time.Now()
		patience := min(latePing, due.Sub(asked))
		if patience <= 0 {
			return // insist goes on, with a server that may be suspect already
		}
		ctx, cancel := context.WithTimeout(s.ctx, patience)
		sign := s.probe(ctx)
		if !sign.alive && !sign.refused {
			<-ctx.Done() // what fails at once is not asked again at once
		}
		cancel()
		switch {
		case s.ctx.Err() != nil, sign.alive, sign.refused, s.life.since(asked):
			s.suspect(false)
			s.life.settle()
			_ = backoff.Sleep(s.ctx, min(probeAgain, time.Until(due))) // fails at the session's end
			return
		case patience == latePing:
			s.suspect(true)
		}
	}
}

// insist asks for a sign of life until there is one, or has to be none. A server that refuses pings
// while calls are in flight is alive.
func (s *Session) insist() (sign, int) {
	asked, until := time.Now(), s.owed()
	defer s.suspect(false)
	for pings := 1; ; pings++ {
		ctx, cancel := context.WithTimeout(s.ctx, latePing)
		sign := s.probe(ctx)
		if !sign.alive && !sign.refused {
			<-ctx.Done() // what fails at once is not asked again at once
		}
		cancel()
		switch {
		case s.ctx.Err() != nil, sign.alive, sign.refused && s.gate.InFlight() == 0:
			return sign, pings
		case sign.refused, s.life.since(asked):
			sign.alive = true
			return sign, pings
		case pings >= maxMisses && time.Now().After(until):
			return sign, pings
		}
		s.suspect(true)
	}
}

// suspect reports a change. keepAlive's goroutine alone calls it.
func (s *Session) suspect(is bool) {
	if s.life.suspect.Swap(is) == is {
		return
	}
	if is {
		s.log.Warn("the server does not answer a ping, it is asked again", "in_flight", s.gate.InFlight())
	}
	if s.opts.OnSuspect != nil {
		s.opts.OnSuspect(is)
	}
}

// owed is when the last of the calls that the server has to answer has no time left.
func (s *Session) owed() time.Time {
	until := s.calls.latest()
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	if s.life.owed.After(until) {
		until = s.life.owed
	}
	return until
}

// suspendedLook is the time between two looks at whether a program is suspended.
const suspendedLook = 5 * time.Second

// watchProgram ends the session when its program is suspended (SIGSTOP) at two looks in a row,
// whether calls are in flight or not: it will answer none of them. The program is killed at once,
// since it would not notice anything else.
func (s *Session) watchProgram() {
	if s.opts.PingInterval < 0 || s.link.child == nil || !child.SeesSuspension {
		return
	}
	ticker := time.NewTicker(min(suspendedLook, s.opts.PingInterval))
	defer ticker.Stop()
	for before := false; ; {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		suspended, wrapped := s.link.child.Suspended()
		if suspended && wrapped && s.probe(s.ctx).alive {
			suspended = false // it may be no wrapper, and that program a tool of it
		}
		if suspended && before {
			s.end(ErrSuspended)
			s.link.child.Kill()
			return
		}
		before = suspended
	}
}

// ErrSuspended says that a session has ended because its program was suspended by a signal.
var ErrSuspended = errors.New("the session ended: its program was suspended by a signal (SIGSTOP)")

// hasSession reports whether the server keeps a session for us, which it can forget.
func (s *Session) hasSession() bool {
	return s.link.http != nil && !s.stateless() && (s.target.Transport == mcp.SSE || s.sdk.ID() != "")
}

// probe asks the server whether it knows the session.
func (s *Session) probe(ctx context.Context) sign {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	ctx, n := withNote(ctx)
	err := ping(ctx, s)
	var rpc *jsonrpc.Error
	switch status := n.HTTPError(); {
	case err == nil:
		s.life.hear()
		return sign{alive: true}
	case errors.Is(err, sdk.ErrSessionMissing):
		return sign{refused: true}
	case status != nil:
		return sign{refused: saysForgotten(status.Status)}
	case !errors.As(err, &rpc) || isLocal(err):
		return sign{}
	case rpc.Code == jsonrpc.CodeMethodNotFound || !s.hasSession():
		s.life.hear()
		return sign{alive: true} // it answers, which is all that there is to know
	}
	return sign{refused: true, rpc: rpc}
}

// saysForgotten reports whether an HTTP status may mean that the server does not know the session.
func saysForgotten(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

// A PingError says that a session has ended because the server did not answer so many pings.
type PingError struct{ Pings int }

func (e *PingError) Error() string { return fmt.Sprintf("the server did not answer %d pings", e.Pings) }
