// Package crashes keeps how instances of agents have ended that should run on: the last reports of
// each agent, in files of the state folder.
package crashes

import (
	"bytes"
	"encoding/json"
	"regexp"
	"time"
)

// What has crashed.
const (
	Process = "process" // a program that openmas had started
	Session = "session" // one to a server that does not answer any more
	Runner  = "runner"  // the Run of an agent
)

// A Report is how an instance of an agent has ended, or its Runner, that should run on.
type Report struct {
	Agent    string `json:"agent"`
	Instance string `json:"instance"`
	// What is process, session or runner.
	What string    `json:"what"`
	At   time.Time `json:"at"`
	// Times is how often it has ended in this way in a row, and First when that was first.
	Times int       `json:"times"`
	First time.Time `json:"first"`
	// Process is the name of the openmas process in its project, PID its number.
	Process string `json:"process"`
	PID     int    `json:"pid"`
	Error   string `json:"error"`
	// ExitCode is that of a program that has ended by itself, Signal what ended one that has not.
	ExitCode *int   `json:"exitCode,omitempty"`
	Signal   string `json:"signal,omitempty"`
	// Stack is that of a panic.
	Stack string `json:"stack,omitempty"`
	// LastLines are what the program wrote last to standard error.
	LastLines []string `json:"lastLines,omitempty"`
	// InFlight is how many calls it had, and Calls has the oldest of them.
	InFlight int    `json:"inFlight"`
	Calls    []Call `json:"calls,omitempty"`
	// Restarts is how often it had been started again before.
	Restarts int `json:"restarts"`
	// Next is what follows: restarting, backoff or failed. NextAt is when it is started again;
	// zero: at once, or not by itself.
	Next   string    `json:"next"`
	NextAt time.Time `json:"nextAt,omitzero"`
}

// A Call is one that was in flight.
type Call struct {
	Call  string  `json:"call"`
	Tool  string  `json:"tool"`
	Trace string  `json:"traceId,omitempty"`
	AgeMS float64 `json:"ageMs"`
}

// The bounds of a report.
const (
	// MaxBytes is how large its file is at most.
	MaxBytes = 64 << 10
	maxText  = 4 << 10
	maxStack = 16 << 10
	maxLines = 20
	maxCalls = 32
	maxName  = 256
)

// bounded is the report without what is too much of it.
func (r Report) bounded() Report {
	r.Error, r.Stack = cut(r.Error, maxText), cut(r.Stack, maxStack)
	r.LastLines = append([]string(nil), r.LastLines[max(0, len(r.LastLines)-maxLines):]...)
	for n, line := range r.LastLines {
		r.LastLines[n] = cut(line, maxText)
	}
	r.Calls = append([]Call(nil), r.Calls[:min(len(r.Calls), maxCalls)]...)
	for n, c := range r.Calls {
		r.Calls[n].Call, r.Calls[n].Tool, r.Calls[n].Trace = cut(c.Call, maxName), cut(c.Tool, maxName),
			cut(c.Trace, maxName)
	}
	return r
}

// encode returns the report as JSON of at most MaxBytes: what is too much goes, the longest first.
func (r Report) encode() ([]byte, error) {
	for {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			return nil, err
		}
		switch {
		case b.Len() <= MaxBytes:
			return b.Bytes(), nil
		case len(r.LastLines) > 0:
			r.LastLines = r.LastLines[1+len(r.LastLines)/2:]
		case r.Stack != "":
			r.Stack = cut(r.Stack, len(r.Stack)/2)
		case len(r.Calls) > 0:
			r.Calls = r.Calls[:len(r.Calls)/2]
		default:
			r.Error = cut(r.Error, len(r.Error)/2)
		}
	}
}

// cut is s, or its first most bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:most]), nil))
}

// alike reports whether nothing tells r from the report before it.
func (r Report) alike(before Report) bool {
	return r.What == before.What && r.InFlight == 0 && before.InFlight == 0 && r.Process == before.Process &&
		number.ReplaceAllString(r.Error, "") == number.ReplaceAllString(before.Error, "")
}

// number is that of a process, which is another one each time, or of the restarts.
var number = regexp.MustCompile(`\(pid \d+\)|after \d+ restarts`)
