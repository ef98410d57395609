package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/logs"
)

// LogFlags are --log-level and --log-format.
type LogFlags struct {
	level, format string
	// Level is the level of the logger; it may be changed.
	Level slog.LevelVar
}

// Register adds the flags to a command, whose default level is level.
func (l *LogFlags) Register(c *cobra.Command, level string) {
	c.Flags().StringVar(&l.level, "log-level", level, "`LEVEL`: trace, debug, info, warn or error")
	c.Flags().StringVar(&l.format, "log-format", "text", "`FORMAT`: text or json")
}

// Logger makes the logger that the flags ask for. It writes to standard error: for people on a
// terminal, else as key=value or in JSON. From then on, everything else there is JSON too where the
// log is.
func (a *App) Logger(l *LogFlags) (*slog.Logger, error) {
	level, err := logs.ParseLevel(l.level)
	if err != nil {
		return nil, Usage(fmt.Errorf("--log-level %w", err))
	}
	l.Level.Set(level)
	var stack atomic.Value
	stack.Store("")
	a.stack = func() string { return stack.Load().(string) }
	shown := func(h slog.Handler) *slog.Logger { return slog.New(stacks{h, &stack}) }
	switch l.format {
	case "json":
		log := shown(logs.NewJSON(a.Err, &l.Level))
		a.jsonErr, a.Err = a.Err, slog.NewLogLogger(logs.NewJSON(a.Err, slog.LevelInfo), slog.LevelInfo).Writer()
		return log, nil
	case "text":
		if OnTerminal(a.Err) {
			return shown(logs.NewBriefTerminal(a.Err, &l.Level, logs.Colors(a.getenv), a.called.String())), nil
		}
		return shown(logs.NewLogfmt(a.Err, &l.Level)), nil
	}
	return nil, Usage(fmt.Errorf("--log-format %q: want text or json", l.format))
}

// A stacks handler keeps the last stack that it has written: an error at the end of a command does
// not say again what is above it.
type stacks struct {
	slog.Handler
	last *atomic.Value
}

// Handle implements slog.Handler.
func (s stacks) Handle(ctx context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "stack" {
			s.last.Store(a.Value.String())
		}
		return true
	})
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s stacks) WithAttrs(attrs []slog.Attr) slog.Handler {
	return stacks{s.Handler.WithAttrs(attrs), s.last}
}

// WithGroup implements slog.Handler.
func (s stacks) WithGroup(name string) slog.Handler { return stacks{s.Handler.WithGroup(name), s.last} }

func (a *App) getenv(key string) string {
	i := slices.IndexFunc(a.Environ, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
	if i < 0 {
		return ""
	}
	return a.Environ[i][len(key)+1:]
}

// inJSON is a line of the log about the end of a command.
func inJSON(w io.Writer, text string) {
	_ = json.NewEncoder(w).Encode(struct { // when standard error is gone, nobody is left to tell
		Time  time.Time `json:"time"`
		Level string    `json:"level"`
		Msg   string    `json:"msg"`
	}{time.Now(), slog.LevelError.String(), text})
}
