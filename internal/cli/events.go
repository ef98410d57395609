package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli/internal/form"
	"github.com/openmas/openmas/runtime"
)

// maxDead bounds what one command lists or replays.
const maxDead = 10_000

// An eventSystem is a system as the commands for events need it.
type eventSystem struct {
	publish func(ctx context.Context, topic string, payload json.RawMessage, key string) (runtime.Reach, error)
	dead    func(ctx context.Context, agent, topic string, limit int) ([]runtime.DeadLetter, error)
	// replay delivers dead letters again; all of them when there are no seqs.
	replay func(ctx context.Context, seqs []uint64) (int, error)
}

// inEvents calls f in the project's system.
func (a *App) inEvents(ctx context.Context, s *systemFlags, f func(context.Context, eventSystem) error) error {
	return a.inSystem(ctx, s, system{
		running: func(ctx context.Context, all processes) error {
			p := all.choose("")
			all.note(a.say, p)
			return f(ctx, p.events())
		},
		started: func(ctx context.Context, r *runtime.Runtime) error {
			return f(r.Context(ctx), eventSystem{
				publish: func(ctx context.Context, topic string, payload json.RawMessage,
					key string) (runtime.Reach, error) {
					return r.Reach(topic, payload), agent.Publish(ctx, topic, payload, agent.EventKey(key))
				},
				dead: r.DeadLetters,
				replay: func(ctx context.Context, seqs []uint64) (int, error) {
					if len(seqs) > 0 {
						return r.ReplayEvents(ctx, seqs...)
					}
					dead, err := r.DeadLetters(ctx, "", "", maxDead)
					for _, d := range dead {
						seqs = append(seqs, d.Seq)
					}
					if err != nil || len(seqs) == 0 {
						return 0, err
					}
					return r.ReplayEvents(ctx, seqs...)
				},
			})
		},
	})
}

// events leads to the events of a process that runs.
func (p *runningProcess) events() eventSystem {
	return eventSystem{
		publish: func(ctx context.Context, topic string, payload json.RawMessage, key string) (to runtime.Reach,
			err error) {
			err = p.tool(ctx, "publish", map[string]any{"topic": topic, "payload": payload, "key": key}, &to)
			return to, err
		},
		dead: func(ctx context.Context, agent, topic string, limit int) ([]runtime.DeadLetter, error) {
			var found struct{ Events []runtime.DeadLetter }
			err := p.tool(ctx, "dead_letters", map[string]any{"agent": agent, "topic": topic, "limit": limit}, &found)
			return found.Events, err
		},
		replay: func(ctx context.Context, seqs []uint64) (int, error) {
			var done struct{ Replayed int }
			err := p.tool(ctx, "replay_events", map[string]any{"seqs": seqs, "all": len(seqs) == 0}, &done)
			return done.Replayed, err
		},
	}
}

func (a *App) eventsCommand() *cobra.Command {
	return Group("events", "Publish events, and look after those that could not be handled",
		`Publish events, and look after those that could not be handled. A durable event that an agent fails to handle
again and again becomes a dead-letter event: it can be listed, and delivered again once the reason is mended.`,
		a.deadCommand(), a.replayCommand(), a.publishCommand())
}

func (a *App) publishCommand() *cobra.Command {
	var s systemFlags
	var key string
	c := &cobra.Command{
		Use:        "publish TOPIC [JSON | key=value... | -]",
		SuggestFor: []string{"emit", "send"},
		Short:      "Publish an event",
		Long: `Publish an event to the agents of the project that subscribe to its topic. A project that does not run
is started for the event, and stopped when its agents have handled it.

The payload is JSON, or key=value pairs (a value that is JSON is taken as JSON, anything else as text), or
- for JSON on standard input. A line on standard error says which agents subscribe to the topic, and which
members of the payload none of them reads.`,
		Example: `  openmas events publish order.placed id=17 customer=Ada`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			payload, err := a.payload(args[1:])
			if err != nil {
				return Usage(err)
			}
			err = a.inEvents(c.Context(), &s, func(ctx context.Context, e eventSystem) error {
				to, err := e.publish(ctx, args[0], payload, key)
				if err == nil {
					a.noteReach(args[0], to)
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("publish %s: %w", args[0], err)
			}
			return nil
		},
	}
	s.register(c)
	c.Flags().StringVar(&key, "key", "", "the event's `KEY`: events with equal keys are handled in order")
	return c
}

// noteReach says who gets an event, and what may be wrong with it.
func (a *App) noteReach(topic string, to runtime.Reach) {
	hint := ""
	if to.Hint != "" {
		hint = "; " + to.Hint
	}
	switch {
	case len(to.Agents) == 0:
		a.say("no agent subscribes to %s%s", topic, hint)
	case len(to.Unknown) > 0:
		a.say("%s goes to %s; nobody reads %s of it%s", topic, strings.Join(to.Agents, ", "),
			strings.Join(to.Unknown, ", "), hint)
	default:
		a.say("%s goes to %s", topic, strings.Join(to.Agents, ", "))
	}
}

// payload reads what an event carries from the command line: any JSON, where a call has an object.
func (a *App) payload(args []string) (json.RawMessage, error) {
	var text []byte
	switch {
	case len(args) == 1 && args[0] == "-":
		b, err := form.ReadInput(a.In)
		if err != nil {
			return nil, err
		}
		if text = b; !json.Valid(text) {
			return nil, fmt.Errorf("standard input is not JSON: %.60q", text)
		}
	case len(args) == 1 && json.Valid([]byte(args[0])):
		text = []byte(args[0])
	default:
		return form.Arguments(args, a.In)
	}
	return json.RawMessage(text), nil
}

func (a *App) deadCommand() *cobra.Command {
	var s systemFlags
	var f format
	var agentName, topic string
	var limit int
	c := &cobra.Command{
		Use:   "dead",
		Short: "List dead-letter events, the oldest first",
		Args:  NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.inEvents(c.Context(), &s, func(ctx context.Context, e eventSystem) error {
				dead, err := e.dead(ctx, agentName, topic, min(limit, maxDead))
				if err != nil {
					return err
				}
				return f.print(a.Out, dead, func(w io.Writer) error { return showDead(w, dead) })
			})
		},
	}
	s.register(c)
	c.Flags().StringVar(&agentName, "agent", "", "only those that this `AGENT` could not handle")
	c.Flags().StringVar(&topic, "topic", "", "only those of this `TOPIC`")
	c.Flags().IntVar(&limit, "limit", 100, "at most `N`")
	f.register(c, "as JSON, payloads included")
	return c
}

func showDead(w io.Writer, dead []runtime.DeadLetter) error {
	out := newTable(w)
	out.row("SEQ", "AGENT", "TOPIC", "EVENT", "ATTEMPTS", "SINCE", "REASON")
	for _, d := range dead {
		out.row(d.Seq, d.Agent, d.Event.Topic, d.Event.ID, d.Attempts, d.At.Format(time.DateTime), d.Reason)
	}
	return out.flush()
}

func (a *App) replayCommand() *cobra.Command {
	var s systemFlags
	var all bool
	c := &cobra.Command{
		Use:   "replay SEQ...",
		Short: "Deliver dead-letter events again",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var seqs []uint64
			for _, arg := range args {
				n, err := strconv.ParseUint(arg, 10, 64)
				if err != nil {
					return Usage(fmt.Errorf(
						"%q is no number of a dead-letter event; list them with openmas events dead", arg))
				}
				seqs = append(seqs, n)
			}
			if (len(seqs) > 0) == all {
				return Usage(errors.New("name the events by their numbers, or --all"))
			}
			return a.inEvents(c.Context(), &s, func(ctx context.Context, e eventSystem) error {
				n, err := e.replay(ctx, seqs)
				fmt.Fprintf(a.Out, "%s delivered again\n", plural(n, "event"))
				return err
			})
		},
	}
	s.register(c)
	c.Flags().BoolVar(&all, "all", false, "all of them")
	return c
}
