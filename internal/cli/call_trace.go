package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/traces"
)

const (
	// traceWait is how long a process that runs may take to write what it has of a trace, and
	// traceLook how often the command looks.
	traceWait = 200 * time.Millisecond
	traceLook = 20 * time.Millisecond
)

// leading returns the error of a call that was made at began, with the command that shows where it
// failed.
func (a *App) leading(err error, t *targetFlags, tool string, began time.Time) error {
	if usage := (*exitError)(nil); t.isolated || t.server.given() || errors.As(err, &usage) {
		return err // the files are not here, or no longer
	}
	state, stateErr := a.stateDir(&t.project)
	if stateErr != nil {
		return err
	}
	flags := ""
	if t.project.path != "" {
		flags = " -p " + t.project.path
	}
	tick, end := time.NewTicker(traceLook), time.After(traceWait)
	defer tick.Stop()
	for {
		if id := traceOf(state, tool, began); id != "" {
			return fmt.Errorf("%w\nopenmas trace %s%s shows where", err, id, flags)
		}
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("%w\nopenmas logs --failed%s shows the call; telemetry: {recent: 64MiB} in the project file "+
				"keeps its trace", err, flags)
		}
	}
}

// traceOf finds the trace that the call of a tool has begun: the first one since then with such a
// call at its root that went wrong. It is empty where there is none.
func traceOf(state, tool string, began time.Time) string {
	if !strings.Contains(tool, ".") {
		tool = strings.Replace(tool, "_", ".", 1)
	}
	spans, err := recentSpans(state, "", "tools/call "+tool)
	if err != nil {
		return ""
	}
	for _, t := range traces.Group(spans) {
		root := t.Spans[0]
		if root.Parent == "" && !root.Start.Before(began) && root.Name == "tools/call "+tool && t.Reason() != "" {
			return t.ID
		}
	}
	return ""
}
