package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
)

// refusal is why a reload has failed, and what to do.
func (d *dev) refusal(done runtime.Reloaded, err error) string {
	for _, c := range done.Changes {
		if c.Error != "" && !c.Done {
			if why := d.notStarted(c.Agent, err); why != "" {
				return why
			}
		}
	}
	text := err.Error()
	if e := (*agent.Error)(nil); errors.As(err, &e) {
		text = e.Message
	}
	if d.hasKeys {
		text = strings.Replace(text, runtime.ErrFixed.Error(), "r restarts it with them", 1)
	}
	return d.withLastLines(strings.TrimPrefix(text, "reload: "), err)
}

// report matches the last word of a program whose agent does not start.
var report = regexp.MustCompile(`^openmas: start agent ([^/ ]+)/\d+: (.*)$`)

// notStarted is why an agent of the package does not start; empty: the error itself says it best.
func (d *dev) notStarted(name string, err error) string {
	lines := client.LastLines(err)
	for n := len(lines) - 1; n >= 0; n-- {
		if m := report.FindStringSubmatch(lines[n]); m != nil {
			return strings.Join(append([]string{fmt.Sprintf("agent %s does not start: %s", m[1], m[2])},
				lines[n+1:]...), "\n    ")
		}
	}
	failed := (*client.ConnectError)(nil)
	if name == "" || !errors.As(err, &failed) {
		return ""
	}
	code, exited := client.ExitCode(err)
	switch signal := client.ExitSignal(err); {
	case failed.Reason == client.ReasonTimeout && d.taken != nil:
		return fmt.Sprintf("agent %s does not start: its Start has not returned within %v (start.timeout)", name,
			d.taken.StartTimeout(name))
	case signal != "":
		return d.withLastLines(fmt.Sprintf("agent %s does not start: its process was ended by %s", name, signal), err)
	case exited:
		return d.withLastLines(fmt.Sprintf("agent %s does not start: its process has exited with code %d", name, code),
			err)
	}
	return ""
}

// withLastLines adds what the program wrote last, if the log does not show it.
func (d *dev) withLastLines(text string, err error) string {
	if d.log.Enabled(context.Background(), slog.LevelInfo) {
		return text
	}
	return cli.WithLastLines(text, err)
}

// A quiet handler leaves out the last word of a program whose agent does not start, while somebody
// waits for that start: what is said then has it.
type quiet struct {
	slog.Handler
	waiting *atomic.Bool
}

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if q.waiting.Load() && report.MatchString(r.Message) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quiet{q.Handler.WithAttrs(attrs), q.waiting}
}

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler {
	return quiet{q.Handler.WithGroup(name), q.waiting}
}
