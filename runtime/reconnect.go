package runtime

import (
	"context"
	"time"

	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
)

// reconnectJitter spreads the processes that lost the same server.
const reconnectJitter = 0.2

// reconnect keeps the session to an agent that lives elsewhere, or here behind an endpoint: there
// is nothing to restart, so it never gives up.
func (s *session) reconnect(ctx context.Context) {
	for {
		if s.peer == nil {
			err := supervise.Reconnect(ctx, s.r.reconnectWaits(), s.comeBack, func(n int, wait time.Duration,
				err error) {
				s.instance.DownFor(wait, route.Restarting, err)
				s.r.log.Warn("agent cannot be reached", append(failure(err), "agent", s.agent.name, "attempt", n,
					"next", wait.Round(time.Millisecond))...)
			})
			if err != nil {
				return
			}
		}
		err := s.await(ctx)
		if ctx.Err() != nil || s.r.draining() {
			return
		}
		s.instance.Restarted()
		s.instance.Down(route.Restarting, err)
		s.r.log.Warn("session lost", append(failure(err), "agent", s.agent.name)...)
	}
}
