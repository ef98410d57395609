package agenttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"

	"github.com/openmas/openmas/agent"
)

// maxShown bounds the calls that the report of a failed expectation shows.
const maxShown = 20

// Expectations are the calls that a tool of a [Script] must get; [Expect] makes them. They answer
// in one [System].
type Expectations struct {
	place string // where the test wrote them
	all   []*expected

	mu    sync.Mutex
	calls []string // each that came
	wrong bool     // one came that nobody expects
}

type expected struct {
	matches func(json.RawMessage) bool
	shown   string
	answer  any
	times   int // -1: any number
	came    int
}

// Expect is a value of a [Script]: the tool must be called once with the input in, and answers as
// answer says there. in may be
//
//   - nil: any input;
//   - [Has], [Where]: an input of that kind;
//   - any other value: the input that is the same JSON.
//
// The end of the test fails it where an expected call did not come, or another one came, which gets
// an error. It then shows the calls that came. Among several expectations that match a call, the
// first that has not had all its calls answers.
func Expect(in, answer any) *Expectations {
	e := &Expectations{place: "?"}
	if _, file, line, ok := runtime.Caller(1); ok {
		e.place = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	return e.And(in, answer)
}

// And expects one more call, in any order.
func (e *Expectations) And(in, answer any) *Expectations {
	x := &expected{answer: answer, times: 1}
	switch in := in.(type) {
	case nil:
		x.shown, x.matches = "any input", func(json.RawMessage) bool { return true }
	case matcher:
		x.shown, x.matches = in.shown(), in.matches
	default:
		raw, err := json.Marshal(in)
		if err != nil {
			x.shown = fmt.Sprintf("%T, which does not encode: %v", in, err)
		} else {
			x.shown = string(raw)
		}
		x.matches = func(got json.RawMessage) bool { return err == nil && sameJSON(got, raw) }
	}
	e.all = append(e.all, x)
	return e
}

// Times says how many calls the last expectation is for, in place of one; 0: it must not come.
func (e *Expectations) Times(n int) *Expectations {
	e.all[len(e.all)-1].times = max(n, 0)
	return e
}

// AnyTimes has the last expectation answer any number of calls, and need none.
func (e *Expectations) AnyTimes() *Expectations {
	e.all[len(e.all)-1].times = -1
	return e
}

// take finds what answers a call, as in a [Script].
func (e *Expectations) take(c *agent.Call) (answer any, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, shownInput(c.Input))
	for _, x := range e.all {
		if x.matches(c.Input) && (x.times < 0 || x.came < x.times) {
			x.came++
			return x.answer, nil
		}
	}
	e.wrong = true
	return nil, agent.Errorf(agent.CodeToolFailed, "the test (%s) does not expect this call of %s with %s", e.place,
		c.Target(), shownInput(c.Input))
}

// verify reports what was expected of a target and did not come, and what came in its place.
func (e *Expectations) verify(target string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	wrong := e.wrong
	var text strings.Builder
	fmt.Fprintf(&text, "%s: the calls of %s are not those that the test expects\n  expected:", e.place, target)
	for _, x := range e.all {
		wrong = wrong || x.times >= 0 && x.came != x.times
		times := fmt.Sprint(x.times, " times")
		switch x.times {
		case -1:
			times = "any number of times"
		case 1:
			times = "once"
		}
		fmt.Fprintf(&text, "\n    %s, %s: came %d times", x.shown, times, x.came)
	}
	if !wrong {
		return nil
	}
	text.WriteString("\n  came:")
	for i, c := range e.calls {
		if i == maxShown {
			fmt.Fprintf(&text, "\n    and %d more", len(e.calls)-i)
			break
		}
		text.WriteString("\n    " + c)
	}
	if len(e.calls) == 0 {
		text.WriteString(" no call")
	}
	return errors.New(text.String())
}

// matcher is what stands for an input in [Expect].
type matcher interface {
	matches(in json.RawMessage) bool
	shown() string
}

// Has matches an input that has these properties; others may be there too.
type Has map[string]any

func (h Has) matches(in json.RawMessage) bool {
	var got map[string]json.RawMessage
	if json.Unmarshal(in, &got) != nil {
		return false
	}
	for k, v := range h {
		want, err := json.Marshal(v)
		if have, ok := got[k]; err != nil || !ok || !sameJSON(have, want) {
			return false
		}
	}
	return true
}

func (h Has) shown() string {
	raw, err := json.Marshal(map[string]any(h))
	if err != nil {
		return "an input that has " + err.Error()
	}
	return "an input that has " + string(raw)
}

// Where matches an input that decodes into In and for which fn gives true.
func Where[In any](fn func(In) bool) any { return where[In](fn) }

type where[In any] func(In) bool

func (w where[In]) matches(raw json.RawMessage) bool {
	var in In
	return json.Unmarshal(raw, &in) == nil && w(in)
}

func (w where[In]) shown() string {
	return fmt.Sprintf("an input for which func(%s) bool is true", reflect.TypeFor[In]())
}

func sameJSON(a, b json.RawMessage) bool {
	x, errX := decoded(a)
	y, errY := decoded(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

// decoded keeps numbers as they are written: integers beyond 2^53 differ where floats do not.
func decoded(raw json.RawMessage) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

func shownInput(in json.RawMessage) string {
	if len(in) == 0 {
		return "no input"
	}
	return string(in)
}
