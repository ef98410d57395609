// Package crash says of what has ended although it should run on how it ended and what it did.
package crash

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/crashes"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/supervise"
)

// A Mortal session can end by itself.
type Mortal interface {
	Done() <-chan struct{}
	Err() error
}

// ended is the end of a session, or of a program, with the calls that were in flight.
type ended struct {
	error
	cut client.Cut
}

func (e *ended) Unwrap() error { return e.error }

// sessionEnded is what the error of a session says before its cause.
const sessionEnded = "the session ended: "

// Ended is the error of a session that has ended by itself, with what was in flight.
func Ended(m Mortal) error {
	e := &ended{error: m.Err()}
	if !strings.Contains(e.Error(), sessionEnded) {
		e.error = fmt.Errorf(sessionEnded+"%w", e.error)
	}
	if s, ok := m.(interface{ Cut() client.Cut }); ok {
		e.cut = s.Cut()
	}
	return e
}

// LogAttrs is for the log of [supervise.Loop].
func (e *ended) LogAttrs() []any {
	var attrs []any
	if code, ok := exitCode(e.error); ok {
		attrs = append(attrs, "exit_code", code)
	}
	if signal := client.ExitSignal(e.error); signal != "" {
		attrs = append(attrs, "signal", signal)
	}
	attrs = append(attrs, "in_flight", e.cut.All)
	if e.cut.All > 0 {
		attrs = append(attrs, "cut", shortly(e.cut))
	}
	return attrs
}

// exitCode is that of a program that has ended by itself.
func exitCode(err error) (int, bool) {
	code, ok := client.ExitCode(err)
	return code, ok && code >= 0
}

// shownCuts is how many calls that were cut off a line of the log names.
const shownCuts = 5

func shortly(c client.Cut) string {
	var all []string
	for _, one := range c.Calls[:min(len(c.Calls), shownCuts)] {
		trace := ""
		if one.Trace != "" {
			trace = ", trace " + one.Trace
		}
		all = append(all, fmt.Sprintf("%s (call %s%s, %v)", one.Target, one.ID, trace,
			time.Since(one.Began).Round(time.Millisecond)))
	}
	if more := c.All - len(all); more > 0 {
		all = append(all, fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, "; ")
}

// Report is what is to be known of an end: st says why, and what follows. ok is false if it is no
// crash. redact takes secrets out of a text.
func Report(st supervise.Status, redact func(string) string) (report crashes.Report, ok bool) {
	if st.State != supervise.Restarting && st.State != supervise.Backoff && st.State != supervise.Failed {
		return report, false
	}
	why := st.Err.Error()
	if _, cause, ok := strings.Cut(why, sessionEnded); ok {
		why = cause
	}
	report = crashes.Report{At: time.Now(), Error: redact(why), Signal: client.ExitSignal(st.Err),
		Restarts: st.Restarts, Next: string(st.State)}
	if code, ok := exitCode(st.Err); ok {
		report.ExitCode = &code
	}
	if st.Wait > 0 {
		report.NextAt = report.At.Add(st.Wait)
	}
	for _, line := range client.LastLines(st.Err) {
		report.LastLines = append(report.LastLines, redact(line))
	}
	if panicked := (*supervise.PanicError)(nil); errors.As(st.Err, &panicked) {
		report.Stack = redact(string(panicked.Stack))
	}
	if e := (*ended)(nil); errors.As(st.Err, &e) {
		report.InFlight = e.cut.All
		for _, c := range e.cut.Calls {
			report.Calls = append(report.Calls, crashes.Call{Call: c.ID, Tool: c.Target, Trace: c.Trace,
				AgeMS: float64(report.At.Sub(c.Began).Milliseconds())})
		}
	}
	return report, true
}
