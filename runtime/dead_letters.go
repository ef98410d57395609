package runtime

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/nearest"
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

// A Reach says who gets an event.
type Reach struct {
	// Agents that subscribe to the topic, as far as this process knows, by name.
	Agents []string `json:"agents,omitempty"`
	// Unknown are members of the payload that none of them reads.
	Unknown []string `json:"unknown,omitempty"`
	// Hint has the names that may have been meant: of the topic where nobody subscribes to it, else
	// of the first unknown member.
	Hint string `json:"hint,omitempty"`
}

// Reach says who would get an event, and what of it nobody would read.
func (r *Runtime) Reach(topic string, payload json.RawMessage) Reach {
	var to Reach
	var topics, fields []string
	var members map[string]json.RawMessage
	all := json.Unmarshal(payload, &members) == nil // what any member is told apart by
	for _, info := range r.dir.Agents() {
		for _, s := range info.Subscriptions {
			topics = append(topics, s.Topic)
			if s.Topic == topic {
				to.Agents, fields = append(to.Agents, info.Name), append(fields, s.Fields...)
				all = all && len(s.Fields) > 0
			}
		}
	}
	if len(to.Agents) == 0 {
		to.Hint = nearest.Hint(topic, slices.Compact(slices.Sorted(slices.Values(topics))))
		return to
	}
	if !all {
		return to
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.ContainsFunc(fields, func(f string) bool { return strings.EqualFold(f, name) }) {
			to.Unknown = append(to.Unknown, name)
		}
	}
	if len(to.Unknown) > 0 {
		to.Hint = nearest.Hint(to.Unknown[0], slices.Compact(slices.Sorted(slices.Values(fields))))
	}
	return to
}
