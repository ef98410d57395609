package cli

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
)

// LogFlags are --log-level and --log-format.
type LogFlags struct{ level, format string }

// Register adds the flags to a command, whose default level is level.
func (l *LogFlags) Register(c *cobra.Command, level string) {
	c.Flags().StringVar(&l.level, "log-level", level, "`LEVEL`: debug, info, warn or error")
	c.Flags().StringVar(&l.format, "log-format", "text", "`FORMAT`: text or json")
}

// Logger makes the logger that the flags ask for. It writes to standard error.
func (a *App) Logger(l *LogFlags) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, Usage(fmt.Errorf("--log-level %q: want debug, info, warn or error", l.level))
	}
	switch l.format {
	case "json":
		return slog.New(slog.NewJSONHandler(a.Err, &slog.HandlerOptions{Level: level})), nil
	case "text":
		return slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level, ReplaceAttr: shortTime})), nil
	}
	return nil, Usage(fmt.Errorf("--log-format %q: want text or json", l.format))
}

// shortTime leaves the time of day in lines for people.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		a.Value = slog.StringValue(a.Value.Time().Format("15:04:05.000"))
	}
	return a
}
