package child

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/runtime/internal/supervise"
)

// reportTimeout bounds one report to the parent.
const reportTimeout = 10 * time.Second

// supervise runs the agent's Runner once the parent asks for it, and reports its state to the
// parent.
func (c *child) supervise(ctx context.Context, run func(context.Context) error) {
	select {
	case <-c.runNow:
	case <-ctx.Done():
		return
	}
	err := supervise.Loop(ctx, c.Restart, c.Instance, c.log,
		c.tel.Runner(c.Agent, run), func(s supervise.Status) {
			if !s.State.Final() {
				if err := c.report(ctx, s.State, s.Err); err != nil && ctx.Err() == nil {
					c.log.Warn("the parent did not get the state of the Runner", "state", s.State, "error", err)
				}
			}
		})
	switch {
	case errors.Is(err, supervise.ErrGaveUp):
		c.reportEnd(ctx, supervise.Failed, err)
	case ctx.Err() == nil:
		c.reportEnd(ctx, supervise.Done, nil)
	}
}

// reportWaits are between attempts to report the end of the Runner.
var reportWaits = backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second, Jitter: 0.2}

// reportEnd reports the end of the Runner until the parent has got it, or stops this process: the
// parent has no other way to know, and a run may wait for it.
func (c *child) reportEnd(ctx context.Context, s supervise.State, why error) {
	err := supervise.Reconnect(ctx, reportWaits, func(ctx context.Context) error {
		return c.report(ctx, s, why)
	}, func(n int, wait time.Duration, err error) {
		c.log.Warn("the parent did not get the state of the Runner", "state", s, "attempt", n, "next",
			wait.Round(time.Millisecond), "error", err)
	})
	if err != nil {
		c.log.Debug("the parent stopped this process before it got the state of the Runner", "state", s)
	}
}

func (c *child) report(ctx context.Context, s supervise.State, why error) error {
	st := RunnerStatus{Instance: c.Instance, State: s}
	if why != nil {
		st.Error = why.Error()
	}
	payload, err := json.Marshal(st)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	_, err = c.dir.Call(ctx, &agent.Call{Op: agent.OpEvent, Agent: Runtime, Name: TopicRunner, Input: payload,
		From: agent.Identity{Agent: c.Agent, Instance: c.Instance, Trusted: true}, Attempt: 1})
	return err
}
