package mcpimport

import (
	"cmp"
	"fmt"
	"strconv"
	"time"
)

// Clients say how long a call may take in seconds or in milliseconds. What several clients write is
// told by its size: those that count seconds take at most an hour of them, and those that count
// milliseconds at least a thousand.
const (
	longestInSeconds      = 3600
	shortestInMillisecond = 1000
)

// timeouts writes how long the calls and, of a program, the start may take.
func (im *importer) timeouts(client string, f fields, program bool) {
	calls, start := im.callTimeout(client, f), time.Duration(0)
	calls = cmp.Or(calls, f.duration("tool_timeout_sec", time.Second)) // Codex'
	if both, ok := f.values["timeout"].(map[string]any); ok && client == opencode {
		inner := fields{both, map[string]bool{}}
		calls = cmp.Or(calls, inner.duration("request", time.Millisecond))
		if program {
			start = inner.duration("startup", time.Millisecond)
		}
		f.taken["timeout"] = len(inner.taken) == len(both)
	}
	if program { // a url has connect.timeout, which is one for all
		start = cmp.Or(start, f.duration("startup_timeout_sec", time.Second),
			f.duration("startup_timeout_ms", time.Millisecond), f.duration("connectionTimeout", time.Millisecond))
	}
	if calls > 0 {
		im.line("timeout: %s", durationText(calls))
	}
	if start > 0 {
		im.line("start: {timeout: %s}", durationText(start))
	}
}

// callTimeout is what stands under the key timeout, 0 if that is no number or may be both.
func (im *importer) callTimeout(client string, f fields) time.Duration {
	switch client {
	case goose, cherry:
		return f.duration("timeout", time.Second)
	case zed, opencode:
		return f.duration("timeout", time.Millisecond)
	}
	n, err := strconv.ParseFloat(textOf(f.values["timeout"]), 64)
	switch {
	case err != nil || n <= 0:
		return 0
	case n > longestInSeconds:
		return f.duration("timeout", time.Millisecond)
	case n < shortestInMillisecond:
		return f.duration("timeout", time.Second)
	}
	f.taken["timeout"] = true
	im.lose("timeout: "+textOf(f.values["timeout"]), fmt.Sprintf("it is %gs or %gs, depending on the client",
		n, n/1000))
	return 0
}

func durationText(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}
