package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
)

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
