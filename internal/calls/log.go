package calls

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/nearest"
)

// Failed is the message of the line about a call that failed.
const Failed = "call failed"

// Panicked is the message of the line about a call that failed by a panic: see [agent.Host].
const Panicked = "panic in a handler"

// A Log writes a line for each call that failed: once, where it failed, with who called what, the
// code, the message and the time it took; and one for each that a retry has saved. At level debug
// it has a line for every call. Lines that resemble each other are counted once there are many. A
// nil *Log writes nothing. Safe for concurrent use; Close it.
type Log struct {
	log    *slog.Logger
	bursts bursts
}

// NewLog makes a Log that writes to log.
func NewLog(log *slog.Logger) *Log {
	return &Log{log: log, bursts: bursts{log: log, seed: maphash.MakeSeed()}}
}

// Close writes what was counted and not reported yet. Later failures are not counted.
func (l *Log) Close(context.Context) error {
	if l != nil {
		l.bursts.close()
	}
	return nil
}

// Made notes the end of a call at its caller, and returns err with the note that a line about it is
// there. hint is asked for the name that was meant where that may be the cause; the error says it
// too. Events are not noted: whoever delivers them reports what fails.
func (l *Log) Made(ctx context.Context, c *agent.Call, took time.Duration, err error,
	hint func(agent.Code) string) error {
	switch {
	case l == nil || c.Op == agent.OpEvent:
		return err
	case err == nil:
		if l.log.Enabled(ctx, slog.LevelDebug) {
			l.log.LogAttrs(ctx, slog.LevelDebug, "call", append(about(c), slog.Duration("duration", took))...)
		}
		return nil
	}
	e := agent.AsError(err)
	if e.Logged { // by the callee, or by a caller further down
		l.log.LogAttrs(ctx, slog.LevelDebug, Failed, failure(c, e, err, took)...)
		return e
	}
	attrs := failure(c, e, err, took)
	if told, meant := Hinted(e, hint); meant != "" {
		attrs = append(attrs, slog.String("hint", meant))
		e = told
	}
	l.write(ctx, c, e, attrs)
	return agent.AsLogged(e)
}

// Helped notes that an attempt at a call succeeded after others had not, took after the first one
// failed with err.
func (l *Log) Helped(ctx context.Context, c *agent.Call, attempts int, took time.Duration, err error) {
	if l == nil || !l.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	first := agent.AsError(err)
	attrs := append(about(c), slog.Int("attempts", attempts), slog.String("first_code", string(first.Code)),
		slog.String("first_message", Cut(first.Message, maxMessage)),
		slog.Duration("delay", took.Round(time.Microsecond)))
	l.once(ctx, l.bursts.kindOf(Retried, c, first), slog.LevelInfo, attrs)
}

// Served stands where a caller elsewhere logs how calls end: before an agent in the process that
// hosts it, and in a child process before its parent. What fails here is logged here, but for a
// call whose caller does not wait any longer: that is the caller's to report.
// info describes the agent.
func (l *Log) Served(info func() agent.Info) agent.Middleware {
	return func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			began := time.Now()
			res, err := next.Call(ctx, c)
			if err == nil || l == nil || c.Op == agent.OpEvent {
				return res, err
			}
			e := agent.AsError(err)
			attrs := failure(c, e, err, time.Since(began))
			if e.Logged || ctx.Err() != nil {
				l.log.LogAttrs(ctx, slog.LevelDebug, Failed, attrs...)
				return res, e
			}
			if _, meant := Hinted(e, func(code agent.Code) string { return Meant(code, c, info()) }); meant != "" {
				attrs = append(attrs, slog.String("hint", meant))
			}
			l.write(ctx, c, e, attrs)
			return res, agent.AsLogged(e)
		})
	}
}

// Hinted returns e with a hint at its end, and the hint: empty where there is none or e has it
// already. hint is asked for it where the error may come from a name that the caller has
// misspelled.
func Hinted(e *agent.Error, hint func(agent.Code) string) (*agent.Error, string) {
	switch e.Code {
	case agent.CodeNotFound, agent.CodeInvalidArgument, agent.CodeToolFailed: // a server may say nothing better
	default:
		return e, ""
	}
	meant := hint(e.Code)
	if meant == "" || strings.HasSuffix(e.Message, meant) || strings.Contains(e.Message, "did you mean") ||
		strings.Contains(e.Message, "; known: ") {
		return e, ""
	}
	told, between := *e, "; "
	if strings.Contains(e.Message, "\n") {
		between = "\n"
	}
	told.Message = strings.TrimRight(e.Message, "\n") + between + meant
	return &told, meant
}

// Meant is a hint at what a call that failed with code should have named: its tool or prompt, or an
// argument of its tool. It is empty where the agent has what it names.
func Meant(code agent.Code, c *agent.Call, info agent.Info) string {
	var known []string
	switch c.Op {
	case agent.OpTool:
		if t, ok := info.Tool(c.Name); ok {
			return nearest.Member(t.InputSchema, c.Input)
		}
		if code != agent.CodeNotFound { // a server may have tools that it does not list
			return ""
		}
		for _, t := range info.Tools {
			known = append(known, t.Name)
		}
	case agent.OpPrompt:
		for _, p := range info.Prompts {
			known = append(known, p.Name)
		}
	}
	if slices.Contains(known, c.Name) {
		return ""
	}
	return nearest.Hint(c.Name, known)
}

// write logs a failure, or counts it where many like it came before.
func (l *Log) write(ctx context.Context, c *agent.Call, e *agent.Error, attrs []slog.Attr) {
	if level := levelOf(ctx, e.Code); l.log.Enabled(ctx, level) {
		l.once(ctx, l.bursts.kindOf(Failed, c, e), level, attrs)
	}
}

// once writes a line, at level debug where many like it came before and it is counted.
func (l *Log) once(ctx context.Context, k kind, level slog.Level, attrs []slog.Attr) {
	if !l.bursts.first(k, level, attrs) {
		level = slog.LevelDebug
	}
	l.log.LogAttrs(ctx, level, k.line, attrs...)
}

// levelOf is info where a caller or a tool has to change something, and warn where an operator may
// have to.
func levelOf(ctx context.Context, code agent.Code) slog.Level {
	switch code {
	case agent.CodeInvalidArgument, agent.CodeToolFailed, agent.CodeCanceled:
		return slog.LevelInfo
	}
	if ctx.Value(reporting{}) != nil {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

type reporting struct{}

// Reporting is ctx for entry calls of a program that reports their failures itself: the lines about
// them are at level info.
func Reporting(ctx context.Context) context.Context { return context.WithValue(ctx, reporting{}, true) }

// about is which call it is. The operations but that of tools are the key of what they name.
func about(c *agent.Call) []slog.Attr {
	key := string(c.Op)
	if c.Op == agent.OpComplete {
		key = "completes"
	}
	attrs := make([]slog.Attr, 0, 10)
	if c.Agent != "" { // a name that the gateway does not know has none
		attrs = append(attrs, slog.String("agent", c.Agent))
	}
	attrs = append(attrs, slog.String(key, Cut(c.Name, 256)))
	if caller := c.From.String(); caller != "" {
		attrs = append(attrs, slog.String("caller", caller))
	}
	return append(attrs, slog.String("call", c.ID))
}

func failure(c *agent.Call, e *agent.Error, err error, took time.Duration) []slog.Attr {
	attempts := max(c.Attempt, 1)
	var tried interface{ Attempts() int }
	if errors.As(err, &tried) {
		attempts = tried.Attempts()
	}
	attrs := append(about(c), slog.String("code", string(e.Code)))
	if code, ok := e.RPCCode(); ok {
		attrs = append(attrs, slog.Int64("rpc_code", code))
	}
	return append(attrs, slog.String("message", Cut(e.Message, maxMessage)),
		slog.Duration("duration", took.Round(time.Microsecond)), slog.Int("attempts", attempts))
}
