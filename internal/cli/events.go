package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

// maxDead bounds what one command lists or replays.
const maxDead = 10_000

func (a *App) eventsCommand() *cobra.Command {
	return Group("events", "Publish events, and look after those that could not be handled",
		`Publish events, and look after those that could not be handled. A durable event that an agent fails to handle
again and again becomes a dead-letter event: it can be listed, and delivered again once the reason is mended.`,
		a.deadCommand(), a.replayCommand(), a.publishCommand())
}

func (a *App) publishCommand() *cobra.Command {
	var p ProjectFlags
	var l LogFlags
	var key string
	c := &cobra.Command{
		Use:        "publish TOPIC [JSON | key=value... | -]",
		SuggestFor: []string{"emit", "send"},
		Short:      "Publish an event",
		Long: `Publish an event to the agents of the project that subscribe to its topic. A project that does not run
yet is started for the event, and stopped when its agents have handled it; so is one whose broker is memory,
which no other process can reach.

The payload is JSON, or key=value pairs (a value that is JSON is taken as JSON, anything else as text), or
- for JSON on standard input.`,
		Example: `  openmas events publish order.placed id=17 customer=Ada`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			payload, err := a.payload(args[1:])
			if err != nil {
				return Usage(err)
			}
			var opts []agent.PublishOption
			if key != "" {
				opts = append(opts, agent.EventKey(key))
			}
			return a.inProject(c.Context(), &p, &l, func(ctx context.Context, r *runtime.Runtime) error {
				if err := agent.Publish(r.Context(ctx), args[0], payload, opts...); err != nil {
					return fmt.Errorf("publish %s: %w", args[0], err)
				}
				return nil
			})
		},
	}
	p.Register(c)
	l.Register(c, "warn")
	c.Flags().StringVar(&key, "key", "", "the event's `KEY`: events with equal keys are handled in order")
	return c
}

// payload reads what an event carries from the command line: any JSON, where a call has an object.
func (a *App) payload(args []string) (json.RawMessage, error) {
	var text []byte
	switch {
	case len(args) == 1 && args[0] == "-":
		b, err := readInput(a.In)
		if err != nil {
			return nil, err
		}
		if text = b; !json.Valid(text) {
			return nil, fmt.Errorf("standard input is not JSON: %.60q", text)
		}
	case len(args) == 1 && json.Valid([]byte(args[0])):
		text = []byte(args[0])
	default:
		return arguments(args, a.In)
	}
	return json.RawMessage(text), nil
}

func (a *App) deadCommand() *cobra.Command {
	var p ProjectFlags
	var l LogFlags
	var f format
	var agentName, topic string
	var limit int
	c := &cobra.Command{
		Use:   "dead",
		Short: "List dead-letter events, the oldest first",
		Args:  NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.inProject(c.Context(), &p, &l, func(ctx context.Context, r *runtime.Runtime) error {
				dead, err := r.DeadLetters(ctx, agentName, topic, min(limit, maxDead))
				if err != nil {
					return err
				}
				return f.print(a.Out, dead, func(w io.Writer) error { return showDead(w, dead) })
			})
		},
	}
	p.Register(c)
	l.Register(c, "warn")
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
	var p ProjectFlags
	var l LogFlags
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
			return a.inProject(c.Context(), &p, &l, func(ctx context.Context, r *runtime.Runtime) error {
				if all {
					dead, err := r.DeadLetters(ctx, "", "", maxDead)
					if err != nil {
						return err
					}
					for _, d := range dead {
						seqs = append(seqs, d.Seq)
					}
				}
				n, err := r.ReplayEvents(ctx, seqs...)
				fmt.Fprintf(a.Out, "%s delivered again\n", plural(n, "event"))
				return err
			})
		},
	}
	p.Register(c)
	l.Register(c, "warn")
	c.Flags().BoolVar(&all, "all", false, "all of them")
	return c
}
