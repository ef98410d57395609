package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/internal/supervise"
)

// restart keeps a child process running: whenever it ends it is started again, as often as the
// project file allows.
func (s *session) restart(ctx context.Context) {
	life := func(ctx context.Context) error {
		if s.peer == nil {
			if err := s.comeBack(ctx); err != nil {
				return err
			}
		}
		err := s.await(ctx)
		if s.r.draining() {
			return nil // what has ended is not started again
		}
		return err
	}
	policy, i := supervise.Policy(s.r.cfg.Restart), s.instance
	err := supervise.Loop(ctx, policy, i.ID, s.r.log, life, func(st supervise.Status) {
		i.SetRestarts(st.Restarts)
		if st.State == supervise.Restarting || st.State == supervise.Backoff {
			i.DownFor(st.Wait, route.State(st.State), st.Err)
		}
	})
	if errors.Is(err, supervise.ErrGaveUp) {
		i.Down(route.Failed, err)
		if x := s.r.runners.remote(i.ID); x != nil {
			x.finish(StateFailed, err)
		}
		s.r.giveUp(s.agent, err)
	}
}

// giveUp is called when an agent is not restarted any more. A critical one ends the run.
func (r *Runtime) giveUp(p planned, err error) {
	r.log.Error("agent has failed for good", "agent", p.name, "critical", p.cfg.Critical, "error", err)
	if p.cfg.Critical {
		r.fail(fmt.Errorf("critical agent %s: %w", p.name, err))
	}
}

// fail ends the run.
func (r *Runtime) fail(why error) {
	select {
	case r.fatal <- why:
	default: // one is enough
	}
}
