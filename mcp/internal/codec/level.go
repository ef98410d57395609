package codec

import (
	"log/slog"
)

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
