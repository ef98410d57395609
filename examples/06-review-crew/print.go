package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/openmas/openmas/agent"
)

// Crew is what the runtime says about the agents at work.
type Crew struct {
	Agents []struct {
		Name         string `json:"name"`
		Communicator string `json:"communicator"`
		Calls        int    `json:"calls"`
		Retries      int    `json:"retries"`
		BusyMS       int    `json:"busyMs"`
		Instances    []any  `json:"instances"`
	} `json:"agents"`
}

// printReview writes the hot spots for a terminal, then the crew at work.
func printReview(ctx context.Context, w io.Writer, r *Review, file string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\nHot spots of %s: %d files, %d lines, %d functions\n\n", r.Root, r.Files, r.Lines, r.Functions)
	if len(r.HotSpots) > 0 {
		fmt.Fprintln(tw, "  SCORE\tFILE\tCOMPLEXITY\tCOMMITS\tLAST CHANGE\tWORST FUNCTION")
		for _, s := range r.HotSpots {
			fmt.Fprintf(tw, "  %d\t%s\t%d\t%d\t%s\t%s\n", s.Score, s.Path, s.Complexity, s.Commits, s.Last, s.Worst)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(tw, "  note: %s\n", n)
	}
	crew, err := agent.Ask[Crew](ctx, "openmas.status", nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(tw, "\nThe crew at work\n\n  AGENT\tCOMMUNICATOR\tINSTANCES\tCALLS\tRETRIES\tTIME")
	for _, a := range crew.Agents {
		fmt.Fprintf(tw, "  %s\t%s\t%d\t%d\t%d\t%s\n", a.Name, a.Communicator, len(a.Instances), a.Calls, a.Retries,
			time.Duration(a.BusyMS)*time.Millisecond)
	}
	fmt.Fprintf(tw, "\nReport: %s\n\n", file)
	return tw.Flush()
}
