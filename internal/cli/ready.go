package cli

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/openmas/openmas/internal/startup"
	"github.com/openmas/openmas/runtime"
)

// showReady says what is up: a table on a terminal, log lines otherwise; and the guide's readiness
// line.
func showReady(w io.Writer, log *slog.Logger, s runtime.Status) {
	if onTerminal(w) {
		took := time.Since(s.Started).Round(time.Millisecond)
		fmt.Fprintf(w, "\n%s is up: %s in %s\n\n", s.Project, plural(len(s.Agents), "agent"), took)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "  AGENT\tCOMMUNICATOR\tINSTANCES\tTOOLS")
		for _, a := range s.Agents {
			fmt.Fprintf(tw, "  %s\t%s\t%d\t%s\n", a.Name, a.Communicator, len(a.Instances), strings.Join(a.Tools, ", "))
		}
		_ = tw.Flush() // a terminal that is gone is noticed by the next write that matters
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
		fmt.Fprintf(w, "%s%s\n", startup.SSEURL, s.URL)
	}
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
