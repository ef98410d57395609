package calls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
)

// logged returns a Log at the given level and what it has written, without times.
func logged(level slog.Level) (*Log, func() []string) {
	var b buffer
	l := NewLog(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "duration" {
				return slog.Attr{}
			}
			return a
		}})))
	return l, func() []string { return strings.Split(strings.TrimSpace(b.take()), "\n") }
}

type buffer struct {
	mu   sync.Mutex
	text []byte
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	return len(p), nil
}

func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := string(b.text)
	b.text = nil
	return text
}

var call = &agent.Call{ID: "c1", Op: agent.OpTool, Agent: "geo", Name: "locate", From: agent.Identity{Agent: "trip"}}

func nothing(agent.Code) string { return "" }

func TestLinesOfCalls(t *testing.T) {
	const of = " agent=geo tool=locate caller=trip call=c1"
	for code, level := range map[agent.Code]string{agent.CodeInvalidArgument: "INFO", agent.CodeToolFailed: "INFO",
		agent.CodeCanceled: "INFO", agent.CodeInternal: "WARN", agent.CodeNotFound: "WARN",
		agent.CodeUnavailable:      "WARN",
		agent.CodeDeadlineExceeded: "WARN", agent.CodeOutcomeUnknown: "WARN"} {
		l, out := logged(slog.LevelInfo)
		err := l.Made(t.Context(), call, time.Second, agent.Errorf(code, "why"), nothing)
		want := fmt.Sprintf(`level=%s msg="call failed"%s code=%s message=why attempts=1`, level, of, code)
		if got := out(); got[0] != want || len(got) != 1 {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		// Whoever passes it on says nothing more, unless asked to.
		if err = l.Made(t.Context(), call, time.Second, fmt.Errorf("above: %w", err), nothing); out()[0] != "" {
			t.Errorf("%s: logged again", code)
		}
		if !errors.Is(err, code) {
			t.Errorf("the error is now %v", err)
		}
		_ = l.Close(t.Context())
	}
	l, out := logged(slog.LevelDebug)
	_ = l.Made(t.Context(), call, time.Second, nil, nothing)
	if got, want := out()[0], `level=DEBUG msg=call`+of; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	_ = l.Made(Reporting(t.Context()), call, time.Second, agent.Errorf(agent.CodeInternal, "why"), nothing)
	if got := out()[0]; !strings.HasPrefix(got, "level=INFO") {
		t.Errorf("of a program that reports itself: %q", got)
	}
}

// A callee leaves to its caller what the caller ends.
func TestWhoLogsACallThatIsGivenUp(t *testing.T) {
	l, out := logged(slog.LevelInfo)
	ctx, cancel := context.WithCancel(t.Context())
	callee := l.Served(func() agent.Info { return agent.Info{} })(agent.CallerFunc(
		func(context.Context, *agent.Call) (*agent.Result, error) {
			cancel()
			return nil, ctx.Err()
		}))
	_, err := callee.Call(ctx, call)
	if got := out()[0]; got != "" || agent.AsError(err).Logged {
		t.Errorf("%q, %+v", got, err)
	}
}

func TestABurstIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, out := logged(slog.LevelInfo)
		wait := func() {
			time.Sleep(burstWindow + time.Millisecond)
			synctest.Wait()
		}
		fail := func(n int, format string) {
			for i := range n {
				_ = l.Made(t.Context(), call, 0, agent.Errorf(agent.CodeUnavailable, format, i), nothing)
			}
		}
		fail(1000, "tried again in %ds")
		fail(1, "something else %d")
		if got := out(); len(got) != burstLines+1 {
			t.Errorf("%d lines: %q", len(got), got)
		}
		wait()
		if got := out(); len(got) != 1 || !strings.Contains(got[0], "count=997") ||
			!strings.Contains(got[0], "calls failed in the same way") {
			t.Errorf("after a while: %q", got)
		}
		fail(5, "tried again in %ds") // the burst goes on
		wait()
		if got := out(); len(got) != 1 || !strings.Contains(got[0], "count=5") {
			t.Errorf("later: %q", got)
		}
		wait()
		fail(4, "tried again in %ds") // it is over: a new one
		if got := out(); len(got) != burstLines {
			t.Errorf("a new one: %q", got)
		}
		_ = l.Close(t.Context())
		if got := out(); len(got) != 1 || !strings.Contains(got[0], "count=1") {
			t.Errorf("at the end: %q", got)
		}
		fail(10, "tried again in %ds")
		if got := out(); len(got) != 10 {
			t.Errorf("after the end: %q", got)
		}
	})
}

// What is remembered of failures is bounded, and so is a line.
func TestBoundsOfTheLogOfCalls(t *testing.T) {
	synctest.Test(t, boundsOfTheLogOfCalls) // its time stands still: a slow machine forgets nothing
}

func boundsOfTheLogOfCalls(t *testing.T) {
	l, out := logged(slog.LevelInfo)
	for i := range 2 * maxKinds {
		c := *call
		c.Name = strings.Repeat("x", i)
		_ = l.Made(t.Context(), &c, 0, agent.Errorf(agent.CodeNotFound, "%s", strings.Repeat("é", 10_000)), nothing)
	}
	if n := len(l.bursts.now); n != maxKinds {
		t.Errorf("%d kinds are remembered", n)
	}
	got := out()
	if len(got) != 2*maxKinds || len(got[len(got)-1]) > maxMessage+1000 ||
		!regexp.MustCompile(`é … \(20000 bytes\)`).MatchString(got[0]) {
		t.Errorf("%d lines, the last has %d bytes", len(got), len(got[len(got)-1]))
	}
	_ = l.Close(t.Context())
}

// A retry that helped is a line with why it was needed; many of them are counted.
func TestLinesOfRetriesThatHelped(t *testing.T) {
	l, out := logged(slog.LevelInfo)
	for i := range 10 {
		l.Helped(t.Context(), call, 3, time.Second, agent.Errorf(agent.CodeUnavailable, "away for %d s", i))
	}
	_ = l.Made(t.Context(), call, 0, agent.Errorf(agent.CodeUnavailable, "away for 7 s"), nothing)
	got := out()
	if want := `level=INFO msg="call succeeded after a retry" agent=geo tool=locate caller=trip call=c1 attempts=3 ` +
		`first_code=unavailable first_message="away for 0 s" delay=1s`; got[0] != want {
		t.Errorf("got  %s\nwant %s", got[0], want)
	}
	if len(got) != burstLines+1 || !strings.Contains(got[burstLines], Failed) { // which is of another kind
		t.Errorf("the lines are %q", got)
	}
	_ = l.Close(t.Context())
	if got := out(); len(got) != 1 || !strings.Contains(got[0], "msg=\""+RetriedAlike) ||
		!strings.Contains(got[0], "count=7") {
		t.Errorf("at the end: %q", got)
	}
	(*Log)(nil).Helped(t.Context(), call, 2, 0, errors.New("of no interest"))
}
