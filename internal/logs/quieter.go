package logs

import (
	"context"
	"log/slog"
	"strings"
)

// Quieter is h for a library: what it writes below warn is at most at level, and so are messages
// that begin with one of the texts.
func Quieter(h slog.Handler, level slog.Level, also ...string) slog.Handler {
	return quieter{h, level, also}
}

// A quieter handler lowers the level of what is below warn.
type quieter struct {
	slog.Handler
	to   slog.Level
	also []string
}

func (q quieter) level(l slog.Level) slog.Level {
	if l < slog.LevelWarn {
		return min(l, q.to)
	}
	return l
}

// Enabled implements slog.Handler.
func (q quieter) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, q.level(l))
}

// Handle implements slog.Handler.
func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	r.Level = q.level(r.Level)
	for _, begin := range q.also {
		if strings.HasPrefix(r.Message, begin) {
			r.Level = min(r.Level, q.to)
		}
	}
	if !q.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (q quieter) WithAttrs(a []slog.Attr) slog.Handler {
	return quieter{q.Handler.WithAttrs(a), q.to, q.also}
}

// WithGroup implements slog.Handler.
func (q quieter) WithGroup(name string) slog.Handler {
	return quieter{q.Handler.WithGroup(name), q.to, q.also}
}
