package logs

import (
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
)

// A Line is what a line of a program's standard error says.
type Line struct {
	Level   slog.Level
	Message string
	Attrs   []slog.Attr
}

// ParseLine reads a line of a program that logs in JSON (as slog, zap, zerolog, pino, bunyan,
// structlog and winston do), in logfmt, or as text with the level at the beginning, as Python's
// logging and many others have it. A line without a level is at info. What the line says is kept;
// its time is not, since the log has its own.
func ParseLine(line string) Line {
	line = strings.TrimRight(StripColors(line), " \t\r\n")
	if strings.HasPrefix(line, "{") {
		if l, ok := parseJSON(line); ok {
			return l
		}
	}
	if l, ok := parseLogfmt(line); ok {
		return l
	}
	return parseText(line)
}

var escapes = regexp.MustCompile("\x1b(\\[[0-9;:?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?)")

// StripColors takes escape sequences of terminals out of a line.
func StripColors(line string) string {
	if !strings.ContainsRune(line, '\x1b') {
		return line
	}
	return escapes.ReplaceAllString(line, "")
}

// levels are the words of loggers; in lower case.
var levels = map[string]slog.Level{
	"trace": LevelTrace, "trce": LevelTrace, "verbose": slog.LevelDebug, "silly": LevelTrace, "debug": slog.LevelDebug,
	"dbg": slog.LevelDebug, "debg": slog.LevelDebug, "http": slog.LevelDebug, "info": slog.LevelInfo,
	"inf": slog.LevelInfo, "information": slog.LevelInfo, "notice": slog.LevelInfo, "log": slog.LevelInfo,
	"success": slog.LevelInfo, "warn": slog.LevelWarn, "wrn": slog.LevelWarn, "warning": slog.LevelWarn,
	"error": slog.LevelError, "err": slog.LevelError, "eror": slog.LevelError, "fatal": slog.LevelError,
	"critical": slog.LevelError, "crit": slog.LevelError, "panic": slog.LevelError, "dpanic": slog.LevelError,
	"alert": slog.LevelError, "emerg": slog.LevelError, "emergency": slog.LevelError, "severe": slog.LevelError,
}

func levelOf(word string) (slog.Level, bool) {
	if l, ok := levels[strings.ToLower(word)]; ok {
		return l, true
	}
	var l slog.Level // as slog writes one in between: INFO+2
	if strings.ContainsAny(word, "+-") && l.UnmarshalText([]byte(word)) == nil {
		return l, true
	}
	return 0, false
}

// The keys of a record.
var (
	levelKeys   = []string{"level", "severity", "lvl", "levelname", "log.level", "@level", "loglevel"}
	messageKeys = []string{"msg", "message", "@message", "event"}
	timeKeys    = []string{"time", "ts", "timestamp", "@timestamp", "asctime", "t"}
)

func parseJSON(line string) (Line, bool) {
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return Line{}, false
	}
	var all []slog.Attr // in their order
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return Line{}, false
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return Line{}, false
		}
		all = append(all, slog.Any(key.(string), plainNumber(v)))
	}
	if _, err := dec.Token(); err != nil || dec.More() {
		return Line{}, false
	}
	return record(all)
}

// plainNumber makes a number of an integer or a float, so that handlers write it as one.
func plainNumber(v any) any {
	n, ok := v.(json.Number)
	if !ok {
		return v
	}
	if i, err := n.Int64(); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String()
}

// record finds level and message among the members of a line; without both it is none.
func record(all []slog.Attr) (Line, bool) {
	l := Line{}
	var haveLevel, haveMessage bool
	take := func(keys []string, use func(slog.Value) bool) bool {
		for _, key := range keys {
			for i, a := range all {
				if a.Key == key && use(a.Value) {
					all = append(all[:i:i], all[i+1:]...)
					return true
				}
			}
		}
		return false
	}
	haveLevel = take(levelKeys, func(v slog.Value) (ok bool) { l.Level, ok = levelValue(v); return ok })
	haveMessage = take(messageKeys, func(v slog.Value) bool {
		l.Message = v.String()
		return v.Kind() == slog.KindString
	})
	if !haveLevel || !haveMessage {
		return Line{}, false
	}
	take(timeKeys, func(slog.Value) bool { return true })
	l.Attrs = all
	return l, true
}

// levelValue reads a level: a word, or a number as pino and bunyan write it.
func levelValue(v slog.Value) (slog.Level, bool) {
	switch v.Kind() {
	case slog.KindString:
		return levelOf(v.String())
	case slog.KindInt64:
		switch n := v.Int64(); {
		case n < 10 || n > 100:
			return 0, false
		case n < 20:
			return LevelTrace, true
		case n < 30:
			return slog.LevelDebug, true
		case n < 40:
			return slog.LevelInfo, true
		case n < 50:
			return slog.LevelWarn, true
		}
		return slog.LevelError, true
	}
	return 0, false
}

var pair = regexp.MustCompile(`^([A-Za-z_@][\w.@-]*)=("(?:[^"\\]|\\.)*"|[^\s"=]*)(?:\s+|$)`)

// parseLogfmt reads key=value pairs, if the line has nothing else.
func parseLogfmt(line string) (Line, bool) {
	var all []slog.Attr
	for rest := line; rest != ""; {
		m := pair.FindStringSubmatch(rest)
		if m == nil {
			return Line{}, false
		}
		value := m[2]
		if strings.HasPrefix(value, `"`) {
			var s string
			if json.Unmarshal([]byte(value), &s) != nil {
				s = value[1 : len(value)-1]
			}
			value = s
		}
		all = append(all, slog.String(m[1], value))
		rest = rest[len(m[0]):]
	}
	return record(all)
}

var (
	// A date and time, or one of both, as loggers begin a line with.
	stamp = regexp.MustCompile(
		`^[\[(]?(\d{4}[-/]\d\d[-/]\d\d)?[T ]*(\d\d:\d\d:\d\d([.,]\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?[\])]?` +
			`\s*[-|:]?\s*`)
	// A level in brackets or followed by a colon, a dash or a bar; after a logger's name and dashes
	// for Python.
	bracketed  = regexp.MustCompile(`^[\[(<]\s*([A-Za-z]+)\s*[\])>]\s*:?\s*`)
	followed   = regexp.MustCompile(`^([A-Za-z]+)\s*(?:[:|]|\s-\s)\s*`)
	spaced     = regexp.MustCompile(`^([A-Z]{3,9})\s+`)
	pythonName = regexp.MustCompile(`^([\w.$/-]+) - ([A-Z]+) - `)
	python     = regexp.MustCompile(`^(DEBUG|INFO|WARNING|ERROR|CRITICAL):([\w.$-]+):`)
)

// parseText finds a level at the beginning of a line.
func parseText(line string) Line {
	rest := line
	if at := stamp.FindString(rest); len(strings.Trim(at, "-|:[]( )")) > 0 {
		rest = rest[len(at):]
	}
	if m := python.FindStringSubmatch(rest); m != nil { // logging.BASIC_FORMAT
		level, _ := levelOf(m[1])
		return Line{level, rest[len(m[0]):], []slog.Attr{slog.String("logger", m[2])}}
	}
	if m := pythonName.FindStringSubmatch(rest); m != nil { // name - LEVEL - message
		if level, ok := levelOf(m[2]); ok {
			return Line{level, rest[len(m[0]):], []slog.Attr{slog.String("logger", m[1])}}
		}
	}
	for _, form := range []*regexp.Regexp{bracketed, followed, spaced} {
		if m := form.FindStringSubmatch(rest); m != nil && len(m[0]) < len(rest) {
			if level, ok := levelOf(m[1]); ok && (rest != line || form != spaced || len(m[1]) > 3) {
				return Line{Level: level, Message: rest[len(m[0]):]}
			}
		}
	}
	return Line{Level: slog.LevelInfo, Message: line}
}
