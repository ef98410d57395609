package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
)

// maxDead bounds what one command lists or replays.
const maxDead = 10_000

func (a *app) eventsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "events",
		Short: "Look after durable events that could not be handled",
		Long: `A durable event that an agent fails to handle again and again is put with the dead: it can be looked
at, and delivered again once the reason is mended.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.deadCommand(), a.replayCommand())
	return c
}

func (a *app) deadCommand() *cobra.Command {
	var p projectFlags
	var l logging
	var agentName, topic string
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use:   "dead [PROJECT]",
		Short: "List dead events, the oldest first",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.inProject(c.Context(), first(args), p, l, func(ctx context.Context, r *runtime.Runtime) error {
				dead, err := r.DeadLetters(ctx, agentName, topic, min(limit, maxDead))
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(a.Out, dead)
				}
				return showDead(a.Out, dead)
			})
		},
	}
	p.flags(c)
	l.flags(c, "warn")
	c.Flags().StringVar(&agentName, "agent", "", "only those that this agent could not handle")
	c.Flags().StringVar(&topic, "topic", "", "only those of this topic")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON, payloads included")
	return c
}

func (a *app) replayCommand() *cobra.Command {
	var p projectFlags
	var l logging
	var path string
	var all bool
	c := &cobra.Command{
		Use:   "replay SEQ...",
		Short: "Deliver dead events again to the agents that could not handle them",
		Args:  cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var seqs []uint64
			for _, arg := range args {
				n, err := strconv.ParseUint(arg, 10, 64)
				if err != nil {
					return usage(fmt.Errorf("%q is no number of a dead event: openmas events dead lists them", arg))
				}
				seqs = append(seqs, n)
			}
			if (len(seqs) > 0) == all {
				return usage(errors.New("name the events by their numbers, or --all"))
			}
			return a.inProject(c.Context(), path, p, l, func(ctx context.Context, r *runtime.Runtime) error {
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
	p.flags(c)
	l.flags(c, "warn")
	c.Flags().StringVar(&path, "project", "", "the project file (default: openmas.yaml, then configs/project.yaml)")
	c.Flags().BoolVar(&all, "all", false, "all of them")
	return c
}

// inProject calls f with a project that is up.
func (a *app) inProject(ctx context.Context, path string, p projectFlags, l logging,
	f func(context.Context, *runtime.Runtime) error) error {
	cfg, err := a.load(ctx, path, p)
	if err != nil {
		return err
	}
	log, err := l.logger(a.Err)
	if err != nil {
		return err
	}
	return a.during(ctx, cfg, log, f)
}

func showDead(w io.Writer, dead []runtime.DeadLetter) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SEQ\tAGENT\tTOPIC\tEVENT\tATTEMPTS\tSINCE\tREASON")
	for _, d := range dead {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%d\t%s\t%s\n", d.Seq, d.Agent, d.Event.Topic, d.Event.ID,
			d.Attempts, d.At.Format(time.DateTime), d.Reason)
	}
	return tw.Flush()
}
