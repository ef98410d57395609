package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/chaos/ledger"
)

// Tally is an agent whose tools do what they are told, well or badly, and write it down.
type Tally struct {
	Ledger string `json:"ledger"`
	Listen bool   `json:"listen"` // handle events
	Slow   int    `json:"slow"`   // milliseconds that the handling of an event takes
	// Panics says where the agent panics: start or run.
	Panics string `json:"panics"`
	Delay  int    `json:"delay"` // milliseconds that its start takes

	book *ledger.Book
}

// A Job is what a tool is to do.
type Job struct {
	ID    string   `json:"id"`
	MS    int      `json:"ms,omitempty"`    // how long it takes
	Bytes int      `json:"bytes,omitempty"` // how much it returns
	Pad   string   `json:"pad,omitempty"`   // makes the argument large
	To    []string `json:"to,omitempty"`    // tools to call below it, each below the one before
	Deaf  bool     `json:"deaf,omitempty"`  // it does not look at its context
}

// A Receipt says which call was done, and where.
type Receipt struct {
	ID  string `json:"id"`
	PID int    `json:"pid"`
	Pad string `json:"pad,omitempty"`
}

// Topic is that of the events.
const Topic = "tally.done"

// Capabilities implements [agent.Agent].
func (t *Tally) Capabilities() agent.Capabilities {
	caps := agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("work", "Work, with an effect.", t.job("work")),
		agent.NewTool("read", "Work without an effect.", t.job("read"), agent.ReadOnly()),
		agent.NewTool("nested", "Work, and have others work.", t.job("nested")),
		agent.NewTool("publish", "Publish an event.", t.publish),
		agent.NewTool("panic", "Panic.", t.panics),
		agent.NewTool("lock", "Wait for a lock that nobody frees.", t.lock),
		agent.NewTool("utf8", "Return what is not UTF-8.", t.utf8),
	}}
	if t.Listen {
		caps.Subscriptions = append(caps.Subscriptions, agent.On(Topic, t.handle))
	}
	return caps
}

// Start implements [agent.Starter].
func (t *Tally) Start(ctx context.Context, _ agent.Env) error {
	if t.Panics == "start" {
		panic("told to panic at start")
	}
	var err error
	if t.book, err = ledger.Open(t.Ledger); err != nil {
		return err
	}
	return wait(ctx, Job{MS: t.Delay})
}

// Run implements [agent.Runner].
func (t *Tally) Run(ctx context.Context) error {
	if t.Panics == "run" {
		panic("told to panic in run")
	}
	<-ctx.Done()
	return ctx.Err()
}

func (t *Tally) job(tool string) func(context.Context, Job) (Receipt, error) {
	return func(ctx context.Context, j Job) (Receipt, error) {
		if err := t.note(ledger.Began, j.ID, tool); err != nil {
			return Receipt{}, err
		}
		if err := wait(ctx, j); err != nil {
			return Receipt{}, err
		}
		if len(j.To) > 0 {
			below := Job{ID: j.ID + "+", MS: j.MS, To: j.To[1:]}
			r, err := agent.Ask[Receipt](ctx, j.To[0], below)
			if err != nil {
				return Receipt{}, err
			}
			if r.ID != below.ID {
				return Receipt{}, errors.New("the answer of another call: " + r.ID)
			}
		}
		if err := t.note(ledger.Ended, j.ID, tool); err != nil {
			return Receipt{}, err
		}
		return Receipt{ID: j.ID, PID: os.Getpid(), Pad: strings.Repeat("x", j.Bytes)}, nil
	}
}

// wait takes as long as the job says.
func wait(ctx context.Context, j Job) error {
	if j.MS == 0 {
		return nil
	}
	over := ctx.Done()
	if j.Deaf {
		over = nil
	}
	t := time.NewTimer(time.Duration(j.MS) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-over:
		return ctx.Err()
	}
}

func (t *Tally) publish(ctx context.Context, j Job) (Receipt, error) {
	if err := t.note(ledger.Began, j.ID, "publish"); err != nil {
		return Receipt{}, err
	}
	if err := agent.Publish(ctx, Topic, j); err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: j.ID, PID: os.Getpid()}, t.note(ledger.Ended, j.ID, "publish")
}

func (t *Tally) handle(ctx context.Context, j Job) error {
	if err := wait(ctx, Job{MS: t.Slow}); err != nil {
		return err
	}
	return t.note(ledger.Event, j.ID, "handle")
}

func (t *Tally) panics(_ context.Context, j Job) (Receipt, error) {
	if err := t.note(ledger.Began, j.ID, "panic"); err != nil {
		return Receipt{}, err
	}
	panic("told to panic")
}

func (t *Tally) lock(ctx context.Context, j Job) (Receipt, error) {
	if err := t.note(ledger.Began, j.ID, "lock"); err != nil {
		return Receipt{}, err
	}
	j.Deaf = true // as who waits for a mutex is
	if err := wait(ctx, j); err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: j.ID}, t.note(ledger.Ended, j.ID, "lock")
}

func (t *Tally) utf8(_ context.Context, j Job) (string, error) {
	if err := t.note(ledger.Began, j.ID, "utf8"); err != nil {
		return "", err
	}
	return "\xff\xfe" + j.ID, t.note(ledger.Ended, j.ID, "utf8")
}

func (t *Tally) note(word, id, tool string) error { return t.book.Append(word, id, tool) }
