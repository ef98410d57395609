package logs

import (
	"io"
	"log/slog"
	"math"
	"strconv"
)

// NewJSON writes one JSON object for each line. Durations are numbers, in seconds.
func NewJSON(w io.Writer, level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(w,
		&slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.Float64Value(a.Value.Duration().Seconds())
			}
			return named(groups, a)
		}})
}

// NewLogfmt writes lines of key=value, for a pipe.
func NewLogfmt(w io.Writer, level slog.Leveler) slog.Handler {
	return slog.NewTextHandler(w,
		&slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
				a.Value = slog.StringValue(a.Value.Time().Format("15:04:05.000"))
			}
			if f := a.Value; f.Kind() == slog.KindFloat64 && math.Abs(f.Float64()) < 1e15 { // no 2.3e-05
				a.Value = slog.StringValue(strconv.FormatFloat(f.Float64(), 'f', -1, 64))
			}
			return named(groups, a)
		}})
}

// named writes the name of a level that slog does not have.
func named(groups []string, a slog.Attr) slog.Attr {
	if l, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey {
		a.Value = slog.StringValue(LevelName(l))
	}
	return a
}
