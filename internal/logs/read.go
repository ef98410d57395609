package logs

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Entry is what is looked at first of a line that [NewJSON] has written.
type Entry struct {
	Time     time.Time `json:"time"`
	Message  string    `json:"msg"`
	Agent    string    `json:"agent"`
	Instance string    `json:"instance"` // of what an agent or its program logs
}

// ReadEntry reads a line; of one that is none of the log, there is no time.
func ReadEntry(line []byte) Entry {
	var e Entry
	if json.Unmarshal(line, &e) != nil {
		return Entry{}
	}
	return e
}

// ReadRecord reads a line for another handler, with its attributes [Restored].
func ReadRecord(line []byte) slog.Record {
	l := ParseLine(string(line))
	r := slog.NewRecord(ReadEntry(line).Time, l.Level, l.Message, 0)
	for _, a := range l.Attrs {
		r.AddAttrs(Restored(a))
	}
	return r
}

// durations are the keys of durations, which are seconds in JSON.
var durations = []string{"duration", "took", "wait", "next", "every", "delay"}

// Restored is an attribute that [NewJSON] has written as it was before: what were groups are groups
// again, durations durations, and errors their messages.
func Restored(a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case map[string]any:
		if message, ok := v["message"].(string); ok && v["code"] != nil {
			return slog.String(a.Key, message)
		}
		var in []slog.Attr
		for _, key := range slices.SortedFunc(maps.Keys(v), cmp.Compare[string]) {
			in = append(in, Restored(slog.Any(key, plainNumber(v[key]))))
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(in...)}
	case int64:
		if slices.Contains(durations, a.Key) {
			return slog.Duration(a.Key, time.Duration(v)*time.Second)
		}
	case float64:
		if slices.Contains(durations, a.Key) {
			return slog.Duration(a.Key, time.Duration(v*float64(time.Second)).Round(time.Microsecond))
		}
	}
	return a
}

// maxBrief bounds what [Brief] says of a line.
const maxBrief = 400

// Brief is a line of a program's standard error for people: of a record in JSON what it says, and
// not what it says for programs. Another line stays.
func Brief(line string) string {
	if !strings.HasPrefix(line, "{") {
		return line
	}
	l, ok := parseJSON(line)
	if !ok {
		return line
	}
	out := strings.ToUpper(LevelName(l.Level)) + " " + l.Message
	for _, a := range l.Attrs {
		switch a.Key {
		case "stack", "call", "trace_id", "span_id", "agent", "instance":
			continue
		}
		text := Restored(a).Value.String()
		if strings.ContainsAny(text, " \"=") {
			text = strconv.Quote(text)
		}
		out += " " + a.Key + "=" + text
	}
	if len(out) > maxBrief {
		out = strings.ToValidUTF8(out[:maxBrief], "") + "…"
	}
	return out
}
