package runtime

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/openmas/openmas/agent"
)

// A DeadLetter is a durable event that an agent could not handle in any of its attempts.
type DeadLetter struct {
	// Seq names it for [Runtime.ReplayEvents].
	Seq      uint64      `json:"seq"`
	Agent    string      `json:"agent"`
	Event    agent.Event `json:"event"`
	Attempts int         `json:"attempts"`
	Reason   string      `json:"reason"`
	At       time.Time   `json:"at"`
}

// DeadLetters returns the dead letters of an agent and a topic, or of all where that is empty: at
// most limit, the oldest first. The system must be up.
func (r *Runtime) DeadLetters(ctx context.Context, agentName, topic string, limit int) ([]DeadLetter, error) {
	d, err := r.events.any()
	if err != nil {
		return nil, err
	}
	dead, err := d.DeadLetters(ctx, agentName, topic, 0, limit)
	if err != nil {
		return nil, err
	}
	out := make([]DeadLetter, len(dead))
	for i, x := range dead {
		out[i] = DeadLetter(x)
	}
	slices.SortFunc(out, func(a, b DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}

// ReplayEvents publishes dead letters again, for the agents that could not handle them, and returns
// how many. The system must be up.
func (r *Runtime) ReplayEvents(ctx context.Context, seqs ...uint64) (int, error) {
	d, err := r.events.any()
	if err != nil {
		return 0, err
	}
	return d.Replay(ctx, seqs...)
}
