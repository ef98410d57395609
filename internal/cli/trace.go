package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/rotate"
	"github.com/openmas/openmas/internal/traces"
)

const (
	tracesFolder = "traces"
	// maxTraceFile bounds what is read of a file, and of an answer.
	maxTraceFile = 256 << 20
	// maxListed is how many traces are listed.
	maxListed = 20
)

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
says telemetry: {recent: 64MiB}. With --url it is a trace that Jaeger has.`,
		Example: `  openmas trace --last
  openmas trace 4bf92f35
  openmas trace 4bf92f3577b34da6a3ce929d0e0e4736 --url http://127.0.0.1:16686`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id := strings.Join(args, "")
			if last && (id != "" || onlyFailed) {
				return Usage(errors.New("an ID, --last or --failed: one of them"))
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

// recentSpans reads what the processes of a project have kept: of the traces whose id begins with
// id, where with is in one of their spans.
func recentSpans(state, id, with string) ([]traces.Span, error) {
	var spans []traces.Span
	files := rotate.Reader{Dir: filepath.Join(state, tracesFolder)}
	_, err := files.Next(0, func(l rotate.Line) bool {
		text := string(l.Text)
		if strings.Contains(text, `"traceId":"`+strings.ToLower(id)) && strings.Contains(text, with) {
			some, err := traces.Parse(l.Text)
			if err == nil { // a line that a crash has cut costs itself only
				spans = append(spans, some...)
			}
		}
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("read the traces: %w", err)
	}
	return spans, nil
}

// readTraceFile reads a file: one object, or one per line.
func readTraceFile(path string) ([]traces.Span, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if spans, err := traces.Parse(text); err == nil {
		return spans, nil
	}
	var all []traces.Span
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; strings.TrimSpace(line) == "" {
			continue
		}
		spans, err := traces.Parse([]byte(line))
		if err != nil {
			return nil, Usage(fmt.Errorf("%s: line %d is no OTLP in JSON: %w", path, n, err))
		}
		all = append(all, spans...)
	}
	return all, nil
}

// askJaeger asks the query API for a trace.
func askJaeger(ctx context.Context, at, id string) ([]traces.Span, error) {
	base, err := url.Parse(at)
	if err != nil || base.Host == "" {
		return nil, Usage(fmt.Errorf("--url %q: want the URL of Jaeger's query API, such as http://127.0.0.1:16686", at))
	}
	if id == "" {
		return nil, Usage(errors.New("--url needs the whole ID of a trace"))
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("api/v3/traces", id).String(), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask Jaeger: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(res.Body, maxTraceFile))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask Jaeger: %w", err)
	case res.StatusCode == http.StatusNotFound:
		return nil, nil
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask Jaeger: %s: %.200q", res.Status, text)
	}
	spans, err := traces.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("ask Jaeger: the answer is no OTLP in JSON: %w", err)
	}
	return spans, nil
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
			len(t.Spans), cut(what))
	}
	return out.flush()
}
