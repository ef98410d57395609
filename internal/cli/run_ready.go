package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime"
)

// showReady reports what is up, in a table on a terminal and in log lines otherwise, and writes the
// line that programs wait for.
func showReady(w io.Writer, log *slog.Logger, s runtime.Status) {
	if onTerminal(w) {
		took := time.Since(s.Started).Round(time.Millisecond)
		fmt.Fprintf(w, "\n%s is up: %s in %s\n\n", s.Project, plural(len(s.Agents), "agent"), took)
		out := newTable(w)
		out.row("  AGENT", "COMMUNICATOR", "INSTANCES", "TOOLS")
		for _, a := range s.Agents {
			out.row("  "+a.Name, a.Communicator, len(a.Instances), strings.Join(a.Tools, ", "))
		}
		_ = out.flush() // a terminal that is gone is noticed by the next write that matters
		if s.URL != "" {
			fmt.Fprintf(w, "\n  MCP   %s/mcp, %s/sse\n  call  openmas call AGENT.TOOL --url %s\n  stop  Ctrl-C\n\n",
				s.URL, s.URL, s.URL)
		}
	} else {
		for _, a := range s.Agents {
			log.Info("agent is up", "agent", a.Name, "communicator", a.Communicator, "instances", len(a.Instances),
				"tools", strings.Join(a.Tools, ","))
		}
		log.Info("ready", "project", s.Project, "agents", len(s.Agents), "url", s.URL, "took",
			time.Since(s.Started).Round(time.Millisecond))
	}
	if s.URL != "" {
		fmt.Fprintf(w, "%s%s\n", mcp.SSEURL, s.URL)
	}
}
