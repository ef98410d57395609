package runtime

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/telemetry"
)

// Context returns a context for calls and events of the program that runs the system: with it
// [agent.Ask], [agent.Publish] and the like reach the agents. They come from the agent openmas, as
// those of the runtime do. Before the system is ready, and once it stops, they are unavailable
// errors.
//
// A program that calls for somebody whom it has authenticated says so:
//
//	ctx = agent.WithEnv(ctx, agent.Env{User: "ann", Directory: r.Directory()})
func (r *Runtime) Context(ctx context.Context) context.Context {
	p := program{r}
	return agent.WithEnv(ctx, agent.Env{Name: child.Runtime, Logger: r.log, Directory: p, Publisher: p,
		Dir: r.cfg.Dir, Output: r.opts.Output})
}

// Call calls the tool "agent.tool" with in as its arguments, like [agent.CallTool] in
// [Runtime.Context]. Errors are or wrap an [*agent.Error].
func (r *Runtime) Call(ctx context.Context, tool string, in any, opts ...agent.CallOption) (*agent.Result, error) {
	return agent.CallTool(r.Context(ctx), tool, in, opts...)
}

// Traced returns the session with the caller's span of each call, for a client of a system that
// runs elsewhere. The standard variables of OpenTelemetry say where the spans go; environ looks
// them up, and without them there are none. end sends what there is, for 1.5 s at most, and
// must be called.
func Traced(ctx context.Context, s *client.Session, environ func(string) (string, bool),
	o Options) (traced agent.Caller, end func(context.Context), err error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	host, _ := os.Hostname() // it is for people, and may be missing
	tel, err := telemetry.Setup(ctx, telemetry.Config{Process: fmt.Sprintf("%s/%d", host, os.Getpid()),
		Version: o.Version, Logger: log, Environ: environ, Provider: o.TracerProvider})
	if err != nil {
		return nil, nil, err
	}
	hop := telemetry.Hop{Entry: true}
	for over, t := range transports {
		if t == s.Transport() {
			hop.Communicator = over
		}
	}
	end = func(ctx context.Context) { telemetry.End(ctx, log, tel.Shutdown) }
	return tel.Client(hop)(s), end, nil
}

// program is how the program around the runtime reaches the agents.
type program struct{ r *Runtime }

// open refuses what comes before the system is ready, or when it stops.
func (p program) open() error {
	select {
	case <-p.r.ready:
		if p.r.draining() {
			return agent.Refusedf(agent.CodeUnavailable, "the system is stopping")
		}
		return nil
	default:
		return agent.Refusedf(agent.CodeUnavailable, "the system is not up: call once Runtime.Ready is closed")
	}
}

// Call implements [agent.Caller].
func (p program) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	return p.r.dir.Call(ctx, c)
}

// Agents implements [agent.Directory].
func (p program) Agents() []agent.Info { return p.r.dir.Agents() }

// Agent implements [agent.Directory].
func (p program) Agent(name string) (agent.Info, bool) { return p.r.dir.Agent(name) }

// Publish implements [agent.Publisher].
func (p program) Publish(ctx context.Context, e agent.Event) error {
	if err := p.open(); err != nil {
		return err
	}
	return p.r.publisher.Publish(ctx, e)
}

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
