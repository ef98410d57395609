package cli

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime"
)

// ShowReady reports what is up, in a table on a terminal and in log lines otherwise, and writes the
// line that programs wait for. In JSON, that is a member of the line "ready". stop is how a person
// at the terminal ends it.
func (a *App) ShowReady(log *slog.Logger, s runtime.Status, stop string) {
	w, inJSON := a.Err, a.jsonErr != nil
	if OnTerminal(w) && !inJSON {
		took := time.Since(s.Started).Round(time.Millisecond)
		fmt.Fprintf(w, "\n%s is up: %s in %s\n\n", s.Project, plural(len(s.Agents), "agent"), took)
		out := newTable(w)
		out.row("  AGENT", "COMMUNICATOR", "INSTANCES", "TOOLS")
		for _, a := range s.Agents {
			out.row("  "+a.Name, a.Communicator, len(a.Instances), offered(a))
		}
		_ = out.flush() // a terminal that is gone is noticed by the next write that matters
		if s.URL != "" {
			fmt.Fprintf(w, "\n  MCP   %s/mcp, %s/sse\n  call  %s call AGENT.TOOL --url %s\n  stop  %s\n\n",
				s.URL, s.URL, a.called, s.URL, stop)
		}
	} else {
		for _, a := range s.Agents {
			if a.State != runtime.StateReady {
				log.Warn("agent is not up yet", "agent", a.Name, "communicator", a.Communicator, "state", a.State,
					"error", reason(a))
				continue
			}
			log.Info("agent is up", "agent", a.Name, "communicator", a.Communicator, "instances", len(a.Instances),
				"tools", strings.Join(a.Tools, ","))
		}
		ready := []any{"project", s.Project, "agents", len(s.Agents), "url", s.URL, "took",
			time.Since(s.Started).Round(time.Millisecond)}
		if inJSON && s.URL != "" {
			ready = append(ready, strings.TrimSuffix(mcp.SSEURL, "="), s.URL)
		}
		log.Info("ready", ready...)
	}
	if s.URL != "" && !inJSON {
		fmt.Fprintf(w, "%s%s\n", mcp.SSEURL, s.URL)
	}
}

// offered are the tools of an agent, or why there are none yet.
func offered(a runtime.AgentStatus) string {
	if a.State == runtime.StateReady {
		return strings.Join(a.Tools, ", ")
	}
	return fmt.Sprintf("(%s: %s)", a.State, reason(a))
}

// reason is why an agent is not up, and when it is tried next.
func reason(a runtime.AgentStatus) string {
	for _, i := range a.Instances {
		if i.Error == "" {
			continue
		}
		text, _, _ := strings.Cut(i.Error, "\n")
		if wait := time.Until(i.Next); wait > 0 {
			text += fmt.Sprintf("; tried again in %v", wait.Round(time.Second))
		}
		return text
	}
	return "its first attempt to start has not ended"
}
