package client

import (
	"fmt"
	"time"
)

const (
	pingTimeout = 5 * time.Second
	maxMisses   = 3
)

// keepAlive pings the server while no call is in flight: calls have deadlines of their own, and
// some servers do nothing else while they work on one. After three misses in a row the session is
// over: a frozen program, a connection that leads nowhere.
func (s *Session) keepAlive() {
	if s.opts.PingInterval < 0 || s.stateless() { // which has no pings
		return
	}
	ticker := time.NewTicker(s.opts.PingInterval)
	defer ticker.Stop()
	for misses := 0; ; {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		switch {
		case s.gate.InFlight() > 0:
		case s.probe(s.ctx).alive:
			misses = 0
		default:
			if misses++; misses == maxMisses {
				s.end(fmt.Errorf("the session ended: the server did not answer %d pings", misses))
				return
			}
		}
	}
}
