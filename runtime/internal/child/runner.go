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

// tellTimeout bounds how long the parent may take to take news.
const tellTimeout = 10 * time.Second

// supervise runs the agent's Runner once the parent says so, and tells the parent what becomes of
// it.
func (c *child) supervise(ctx context.Context, run func(context.Context) error) {
	select {
	case <-c.runNow:
	case <-ctx.Done():
		return
	}
	err := supervise.Loop(ctx, c.Restart, c.Instance, c.log,
		c.tel.Runner(c.Agent, run), func(s supervise.Status) {
			if !s.State.Final() {
				if err := c.tell(ctx, s.State, s.Err); err != nil && ctx.Err() == nil {
					c.log.Warn("the parent did not take news of the Runner", "state", s.State, "error", err)
				}
			}
		})
	switch {
	case errors.Is(err, supervise.ErrGaveUp):
		c.tellEnd(ctx, supervise.Failed, err)
	case ctx.Err() == nil:
		c.tellEnd(ctx, supervise.Done, nil)
	}
}

// tellAgain are the waits between attempts to tell the parent the end of the Runner.
var tellAgain = backoff.Policy{Initial: 100 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second, Jitter: 0.2}

// tellEnd tells the parent that the Runner has ended until the parent has taken it, or stops this
// process: nothing else would ever say so, and a run may wait for it.
func (c *child) tellEnd(ctx context.Context, s supervise.State, why error) {
	err := supervise.Reconnect(ctx, tellAgain, func(ctx context.Context) error {
		return c.tell(ctx, s, why)
	}, func(n int, wait time.Duration, err error) {
		c.log.Warn("the parent did not take news of the Runner", "state", s, "attempt", n, "next",
			wait.Round(time.Millisecond), "error", err)
	})
	if err != nil {
		c.log.Debug("the parent stopped this process before it took news of the Runner", "state", s)
	}
}

func (c *child) tell(ctx context.Context, s supervise.State, why error) error {
	news := RunnerNews{Instance: c.Instance, State: s}
	if why != nil {
		news.Error = why.Error()
	}
	payload, err := json.Marshal(news)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	_, err = c.dir.Call(ctx, &agent.Call{Op: agent.OpEvent, Agent: Runtime, Name: TopicRunner, Input: payload,
		From: agent.Identity{Agent: c.Agent, Instance: c.Instance, Trusted: true}, Attempt: 1})
	return err
}
