package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/traces"
)

// maxListed is how many traces are listed.
const maxListed = 20

func (a *App) traceCommand() *cobra.Command {
	var p ProjectFlags
	var f format
	var at string
	var last, onlyFailed bool
	c := &cobra.Command{
		Use:        "trace [ID | FILE]",
		SuggestFor: []string{"traces", "spans", "why"},
		Short:      "Show where a call went, how long it took and why it failed",
		Long: `Show a recent trace of a project, whether it runs or not: a tree of calls with a row for each, when it was
and why it failed. Without an argument it lists the last traces. ID is the beginning of one, as an error and
the log have it; FILE has OTLP in JSON, as the OpenTelemetry Collector writes it. Which traces are kept: all
that failed or were slow, and a share of the rest, where traces are sent to a receiver or the project file
says telemetry: {recent: 64MiB}. A call has one row for both its ends; (caller only) says that no span of its
callee is known, because that sends none, as most foreign servers, or was not reached. With --url it shows
what Jaeger has: any trace by its whole ID, recent ones by the beginning of it too.`,
		Example: `  openmas trace --last
  openmas trace --failed --last
  openmas trace 4bf92f35
  openmas trace 4bf92f35 --url http://127.0.0.1:16686`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id := strings.Join(args, "")
			if last && id != "" {
				return Usage(errors.New("an ID or --last: one of them"))
			}
			all, err := a.traces(c.Context(), &p, id, at)
			if err != nil {
				return err
			}
			if info, err := os.Stat(id); id != "" && err == nil && !info.IsDir() {
				id = "" // all that the file has
				last = len(all) == 1
			}
			var chosen []traces.Trace
			for _, t := range all {
				if strings.HasPrefix(t.ID, strings.ToLower(id)) && (!onlyFailed || t.Failed()) {
					chosen = append(chosen, t)
				}
			}
			switch {
			case len(chosen) == 0 && id != "":
				return fmt.Errorf("there is no trace %s here: it may not have been kept; openmas trace lists those that are",
					id)
			case len(chosen) == 0:
				return errors.New("there are no traces here; telemetry: {recent: 64MiB} in the project file keeps them")
			case last || id != "":
				chosen = chosen[len(chosen)-1:]
			}
			return f.print(a.Out, chosen, func(w io.Writer) error {
				if last || id != "" {
					return traces.Show(w, &chosen[0])
				}
				return listTraces(w, chosen)
			})
		},
	}
	p.Register(c)
	c.Flags().BoolVar(&last, "last", false, "the trace that began last")
	c.Flags().BoolVar(&onlyFailed, "failed", false, "only traces in which something failed")
	c.Flags().StringVar(&at, "url", "", "the `URL` of Jaeger's query API: http://127.0.0.1:16686")
	f.register(c, "as JSON")
	return c
}

// traces reads those of a file, of Jaeger or of the project.
func (a *App) traces(ctx context.Context, p *ProjectFlags, id, at string) ([]traces.Trace, error) {
	var spans []traces.Span
	var err error
	if info, statErr := os.Stat(id); id != "" && statErr == nil && !info.IsDir() {
		spans, err = readTraceFile(id)
	} else if at != "" {
		spans, err = askJaeger(ctx, at, id)
	} else {
		var state string
		if state, err = a.stateDir(p); err == nil {
			spans, err = recentSpans(state, id, "")
		}
	}
	return traces.Group(spans), err
}

// listTraces lists the last traces.
func listTraces(w io.Writer, all []traces.Trace) error {
	out := newTable(w)
	out.row("TRACE", "BEGAN", "TOOK", "SPANS", "WHAT")
	for _, t := range all[max(0, len(all)-maxListed):] {
		start, end := t.Bounds()
		what := t.Spans[0].Name
		if reason := t.Reason(); reason != "" {
			what += "  " + reason
		}
		out.row(t.ID[:min(len(t.ID), 12)], start.Local().Format("15:04:05.000"), traces.Duration(end.Sub(start)),
			len(t.Spans), what)
	}
	return out.flush()
}
