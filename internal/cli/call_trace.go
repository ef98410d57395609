package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/internal/rotate"
	"github.com/openmas/openmas/internal/traces"
)

const (
	// traceWait is how long a process that keeps traces may take to write what it has of one, and
	// wroteWait how long any may take to write what a program has said. traceLook is how often the
	// command looks.
	traceWait = time.Second
	wroteWait = 200 * time.Millisecond
	traceLook = 20 * time.Millisecond
)

// leading returns the error of a call that was made at began, with the command that shows where it
// failed.
func (a *App) leading(err error, t *targetFlags, op agent.Op, tool string, began time.Time) error {
	if usage := (*exitError)(nil); t.isolated || errors.As(err, &usage) {
		return err // the files are no longer here
	}
	id := traceIDOf(err)
	if t.server.given() && id == "" {
		return err
	}
	state, stateErr := a.stateDir(&t.project)
	if stateErr != nil && !t.server.given() {
		return err
	}
	flags := ""
	if t.project.path != "" {
		flags = " -p " + t.project.path
	}
	// The name of an agent or a tool that there is not may have begun no trace.
	unknown := agent.CodeOf(err) == agent.CodeNotFound && id == "" && agent.AsError(err).NotExecuted
	wait := wroteWait
	if _, none := os.Stat(filepath.Join(state, tracesFolder)); stateErr == nil && none == nil && !unknown {
		wait = traceWait
	}
	kept := awaitTrace(wait, func() string {
		if id == "" {
			return traceOf(state, op, tool, began)
		}
		if spans, err := recentSpans(state, id, ""); stateErr != nil || err != nil || len(spans) == 0 {
			return ""
		}
		return id
	})
	switch {
	case kept != "":
		err = fmt.Errorf("%w\nopenmas trace %s%s shows where", err, kept, flags)
	case t.server.given():
		return fmt.Errorf("%w\nopenmas trace %s shows where, in the folder of its project; elsewhere with the --url of its "+
			"Jaeger", err, id)
	case unknown:
		return fmt.Errorf("%w\nopenmas list%s shows what there is", err, flags)
	default:
		err = fmt.Errorf("%w\nopenmas logs --failed%s shows the call; telemetry: {recent: 64MiB} in the project file "+
			"keeps its trace", err, flags)
	}
	if t.server.given() {
		return err
	}
	if name, _, _ := strings.Cut(dotted(tool), "."); op != agent.OpResource && wrote(state, name, began) {
		err = fmt.Errorf("%w\nopenmas logs %s%s shows what %s wrote meanwhile", err, name, flags, name)
	}
	return err
}

// wrote reports whether the log has lines of an agent since then, besides those about its calls: a
// program that hides from its caller why a tool failed may have written it there.
func wrote(state, agentName string, since time.Time) bool {
	files := rotate.Reader{Dir: filepath.Join(state, logsFolder)}
	lines, err := files.Next(1, func(l rotate.Line) bool {
		e := logs.ReadEntry(l.Text)
		return e.Agent == agentName && !e.Time.Before(since) && e.Instance != "" && !isFailure(e)
	})
	return err == nil && len(lines) > 0
}

// awaitTrace returns what find has found, which it has a moment for.
func awaitTrace(wait time.Duration, find func() string) string {
	tick, end := time.NewTicker(traceLook), time.After(wait)
	defer tick.Stop()
	for {
		if id := find(); id != "" {
			return id
		}
		select {
		case <-tick.C:
		case <-end:
			return ""
		}
	}
}

// traceIDOf is the ID of the trace that an error names; empty if it names none.
func traceIDOf(err error) string {
	var e *agent.Error
	if !errors.As(err, &e) {
		return ""
	}
	if parts := strings.Split(e.Trace, "-"); len(parts) == 4 {
		return parts[1]
	}
	return ""
}

// traceOf finds the trace that the call of a tool has begun: the first one since then with such a
// call at its root that went wrong. It is empty where there is none.
func traceOf(state string, op agent.Op, tool string, began time.Time) string {
	span := map[agent.Op]string{agent.OpTool: "tools/call ", agent.OpPrompt: "prompts/get "}[op]
	if span == "" {
		return "" // the spans of a resource do not name it
	}
	span += dotted(tool)
	spans, err := recentSpans(state, "", span)
	if err != nil {
		return ""
	}
	for _, t := range traces.Group(spans) {
		root := t.Spans[0]
		if root.Parent == "" && !root.Start.Before(began) && root.Name == span && t.Reason() != "" {
			return t.ID
		}
	}
	return ""
}
