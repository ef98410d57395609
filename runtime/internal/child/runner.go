package child

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/runtime/internal/supervise"
	"github.com/openmas/openmas/runtime/internal/telemetry"
)

// reportTimeout bounds one report to the parent.
const reportTimeout = 10 * time.Second

// A runner runs the agent's Runner, once the parent asks for it.
type runner struct {
	*Hello
	log *slog.Logger
	tel *telemetry.Telemetry
	dir *directory

	asked sync.Once
	now   chan struct{} // closed when the parent has asked
}

// start is called when the parent asks for the Runner, once or more.
func (r *runner) start() { r.asked.Do(func() { close(r.now) }) }

// supervise runs the agent's Runner once the parent asks for it, and reports its state to the
// parent.
func (r *runner) supervise(ctx context.Context, run func(context.Context) error) {
	select {
	case <-r.now:
	case <-ctx.Done():
		return
	}
	var last supervise.Status
	err := supervise.Loop(ctx, r.Restart, r.Instance, r.log,
		r.tel.Runner(r.Agent, run), func(s supervise.Status) {
			if last = s; !s.State.Final() {
				if err := r.report(ctx, s); err != nil && ctx.Err() == nil {
					r.log.Warn("the parent did not get the state of the Runner", "state", s.State, "error", err)
				}
			}
		})
	switch {
	case errors.Is(err, supervise.ErrGaveUp):
		last.Err = err
		r.reportEnd(ctx, last)
	case ctx.Err() == nil:
		r.reportEnd(ctx, supervise.Status{State: supervise.Done})
	}
}

// reportWaits are between attempts to report the end of the Runner.
var reportWaits = backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second, Jitter: 0.2}

// reportEnd reports the end of the Runner until the parent has got it, or stops this process: the
// parent has no other way to know, and a run may wait for it.
func (r *runner) reportEnd(ctx context.Context, s supervise.Status) {
	err := supervise.Reconnect(ctx, reportWaits, func(ctx context.Context) error {
		return r.report(ctx, s)
	}, func(n int, wait time.Duration, err error) {
		r.log.Warn("the parent did not get the state of the Runner", "state", s.State, "attempt", n, "next",
			wait.Round(time.Millisecond), "error", err)
	})
	if err != nil {
		r.log.Debug("the parent stopped this process before it got the state of the Runner", "state", s.State)
	}
}

func (r *runner) report(ctx context.Context, s supervise.Status) error {
	st := RunnerStatus{Instance: r.Instance, State: s.State, Restarts: s.Restarts, Wait: s.Wait}
	if s.Err != nil {
		st.Error = s.Err.Error()
	}
	if p := (*supervise.PanicError)(nil); errors.As(s.Err, &p) {
		st.Stack = string(p.Stack)
	}
	payload, err := json.Marshal(st)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	_, err = r.dir.Call(ctx, &agent.Call{Op: agent.OpEvent, Agent: Runtime, Name: TopicRunner, Input: payload,
		From: agent.Identity{Agent: r.Agent, Instance: r.Instance, Trusted: true}, Attempt: 1})
	return err
}
