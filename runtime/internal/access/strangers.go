package access

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
)

const (
	freeGuesses  = 3 // wrong tokens of an address that are answered at once
	firstDelay   = 100 * time.Millisecond
	longestDelay = 2 * time.Second
	forgetAfter  = time.Minute // without a wrong token of an address
	maxStrangers = 1024        // addresses that are remembered
	maxDelayed   = 256         // answers that wait at once
)

// strangers are those who sent wrong tokens. Each is told so later each time, and the log says it
// at the first and then once a minute, without the token: it may be a right one with a typo.
type strangers struct {
	log *slog.Logger

	mu      sync.Mutex
	byAddr  map[string]*stranger
	delayed int
}

type stranger struct {
	last   time.Time
	wrong  int
	logged time.Time
}

// refuse waits as long as whoever sends r is to wait for an answer, and returns it.
func (s *strangers) refuse(r *http.Request, token string) error {
	wrong := agent.Refusedf(agent.CodeUnauthenticated, "%w", errUnknownToken)
	if s == nil {
		return wrong
	}
	addr, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		addr = r.RemoteAddr
	}
	d, ok := s.note(addr, len(token), time.Now())
	if !ok {
		return agent.Refusedf(agent.CodeResourceExhausted, "too many wrong tokens")
	}
	if d == 0 {
		return wrong
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	defer cancel()
	<-ctx.Done()
	s.mu.Lock()
	s.delayed--
	s.mu.Unlock()
	return wrong
}

var errUnknownToken = errors.New("the bearer token is not known")

// note counts a wrong token, and says how long its answer waits. A wait has begun if it is not 0.
// ok is false if too many wait.
func (s *strangers) note(addr string, length int, now time.Time) (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := s.byAddr[addr]
	if who == nil || now.Sub(who.last) > forgetAfter {
		s.makeRoom(now)
		who = &stranger{}
		s.byAddr[addr] = who
	}
	who.wrong++
	who.last = now
	if now.Sub(who.logged) >= time.Minute {
		who.logged = now
		s.log.Warn("a client sent a wrong token", "address", addr, "token", "***", "characters", length,
			"in_a_row", who.wrong)
	}
	if who.wrong <= freeGuesses {
		return 0, true
	}
	if s.delayed >= maxDelayed {
		return 0, false
	}
	s.delayed++
	return min(firstDelay<<min(who.wrong-freeGuesses-1, 10), longestDelay), true
}

// makeRoom forgets those of long ago, and if they are too many, whoever was quiet for longest.
func (s *strangers) makeRoom(now time.Time) {
	if s.byAddr == nil {
		s.byAddr = map[string]*stranger{}
	}
	if len(s.byAddr) < maxStrangers {
		return
	}
	oldest, first := "", now
	for addr, who := range s.byAddr {
		if now.Sub(who.last) > forgetAfter {
			delete(s.byAddr, addr)
		} else if !who.last.After(first) {
			oldest, first = addr, who.last
		}
	}
	if len(s.byAddr) >= maxStrangers {
		delete(s.byAddr, oldest)
	}
}
