// Package logs is the log of a system: the handlers that write it to a terminal, a pipe or a file,
// what each line says of the call that it belongs to, and how the lines of foreign programs are
// read.
package logs

import (
	"fmt"
	"log/slog"
	"strings"
)

// LevelTrace is for what the libraries inside tell of their own work. It is below debug.
const LevelTrace = slog.Level(-8)

// ParseLevel reads a level: trace, debug, info, warn or error, in any case.
func ParseLevel(s string) (slog.Level, error) {
	if strings.EqualFold(s, "trace") {
		return LevelTrace, nil
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return 0, fmt.Errorf("%q: want trace, debug, info, warn or error", s)
	}
	return l, nil
}

// LevelName is how a line writes its level.
func LevelName(l slog.Level) string {
	if l < slog.LevelDebug {
		if l == LevelTrace {
			return "TRACE"
		}
		return fmt.Sprintf("TRACE%+d", l-LevelTrace)
	}
	return l.String()
}
