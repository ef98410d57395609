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

// A Log writes a line for each call that failed: once, where it failed, with who called what, the
// code, the message and the time it took. At level debug it has a line for every call. Failures
// that resemble each other are counted once there are many. A nil *Log writes nothing. Safe for
// concurrent use; Close it.
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
// there. hint is asked for the name that was meant where one is not found. Events are not noted:
// whoever delivers them reports what fails.
func (l *Log) Made(ctx context.Context, c *agent.Call, took time.Duration, err error, hint func() string) error {
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
	l.write(ctx, c, e, failure(c, e, err, took), hint)
	return agent.AsLogged(e)
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
			l.write(ctx, c, e, attrs, func() string { return Meant(c, info()) })
			return res, agent.AsLogged(e)
		})
	}
}

// Meant is a hint at what a call should have named; empty where the agent has what it names.
func Meant(c *agent.Call, info agent.Info) string {
	var known []string
	switch c.Op {
	case agent.OpTool:
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
func (l *Log) write(ctx context.Context, c *agent.Call, e *agent.Error, attrs []slog.Attr, hint func() string) {
	level := levelOf(ctx, e.Code)
	if !l.log.Enabled(ctx, level) {
		return
	}
	if e.Code == agent.CodeNotFound {
		if meant := hint(); meant != "" && !strings.HasSuffix(e.Message, meant) {
			attrs = append(attrs, slog.String("hint", meant))
		}
	}
	if !l.bursts.first(l.bursts.kindOf(c, e), level, attrs) {
		level = slog.LevelDebug
	}
	l.log.LogAttrs(ctx, level, Failed, attrs...)
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
	attrs = append(attrs, slog.String(key, cut(c.Name, 256)))
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
	return append(about(c), slog.String("code", string(e.Code)), slog.String("message", cut(e.Message, maxMessage)),
		slog.Duration("duration", took.Round(time.Microsecond)), slog.Int("attempts", attempts))
}
