package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/pattern"
)

// Job is what is auctioned.
type Job struct {
	Number int    `json:"number"`
	What   string `json:"what"`
	Weight int    `json:"weight" jsonschema:"kilograms"`
}

// Offer is a bid: what a carrier wants for a job.
type Offer struct {
	Price int `json:"price"`
}

// Auctioneer has jobs done by those who do them for least.
type Auctioneer struct {
	Jobs     int           `json:"jobs"`
	Deadline time.Duration `json:"deadline"` // for bids; 0: 1 s

	env agent.Env
}

// Start implements agent.Starter.
func (a *Auctioneer) Start(_ context.Context, env agent.Env) error { a.env = env; return nil }

// Capabilities implements agent.Agent.
func (a *Auctioneer) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Has jobs done by those who do them for least.",
		Tools:       []agent.Tool{agent.NewTool("auction", "Auction one job.", a.auction().Step())},
	}
}

// auction is the contract net. A carrier that is gone has carried nothing, so that the next best
// may.
func (a *Auctioneer) auction() pattern.ContractNet[Job, Offer, string] {
	deadline := a.Deadline
	if deadline <= 0 {
		deadline = time.Second
	}
	return pattern.ContractNet[Job, Offer, string]{
		Propose: "offer", Perform: "carry", Reject: "missed", Deadline: deadline,
		Better: func(x, y Offer) bool { return x.Price < y.Price },
		Again: func(_ string, err error) bool {
			return errors.Is(err, agent.CodeUnavailable) || errors.Is(err, agent.CodeOutcomeUnknown)
		},
	}
}

// Run implements agent.Runner: it auctions the jobs and says how it went.
func (a *Auctioneer) Run(ctx context.Context) error {
	goods := []string{"a piano", "ten chairs", "a statue", "books"}
	for n := range a.Jobs {
		job := Job{Number: n + 1, What: goods[n%len(goods)], Weight: 100 * (n + 1)}
		c, err := a.auction().Step()(ctx, job)
		if err != nil {
			return fmt.Errorf("job %d: %w", job.Number, err)
		}
		if err := report(a.env.Output, job, c); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// report says who bid, who did not, and who did the job.
func report(w io.Writer, job Job, c pattern.Contract[Offer, string]) error {
	text := fmt.Sprintf("job %d, %s of %d kg\n", job.Number, job.What, job.Weight)
	for _, name := range slices.Sorted(maps.Keys(c.Bids)) {
		mark := ""
		switch {
		case name == c.Winner:
			mark = "  " + c.Out
		case c.Failed[name] != nil:
			mark = "  got it first, and failed: " + string(c.Failed[name].Code)
		}
		text += fmt.Sprintf("  %-8s bids %d%s\n", name, c.Bids[name].Price, mark)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Refused)) {
		text += fmt.Sprintf("  %-8s does not bid: %s\n", name, c.Refused[name].Code)
	}
	_, err := io.WriteString(w, text)
	return err
}
