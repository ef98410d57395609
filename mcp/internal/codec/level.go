package codec

import (
	"log/slog"
	"slices"
)

// levels are MCP's names of levels.
var levels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// IsLevel reports whether MCP has a level of that name.
func IsLevel(name string) bool { return slices.Contains(levels, name) }

// FromLevel is the level that MCP calls by that name; what it does not know is info.
func FromLevel(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "notice":
		return slog.LevelInfo + 2
	case "warning":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	case "critical":
		return slog.LevelError + 4
	case "alert":
		return slog.LevelError + 8
	case "emergency":
		return slog.LevelError + 12
	}
	return slog.LevelInfo
}
