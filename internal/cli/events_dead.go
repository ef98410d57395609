package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
)

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
