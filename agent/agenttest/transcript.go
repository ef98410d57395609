package agenttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
)

// UpdateGolden is the environment variable that has [System.Golden] write its files.
const UpdateGolden = "OPENMAS_UPDATE_GOLDEN"

// Golden fails the test where [System.Transcript] is not what the file says, by convention
// testdata/NAME.golden. `OPENMAS_UPDATE_GOLDEN=1 go test` writes the file. What a mask matches is
// shown as <masked>.
func (s *System) Golden(file string, masks ...*regexp.Regexp) {
	s.t.Helper()
	got := s.Transcript(masks...)
	if os.Getenv(UpdateGolden) != "" {
		err := os.MkdirAll(filepath.Dir(file), 0o755)
		if err == nil {
			err = os.WriteFile(file, []byte(got), 0o644)
		}
		if err != nil {
			s.t.Errorf("write the golden file: %v", err)
		}
		return
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		s.t.Errorf("%v; %s=1 go test writes it. The transcript:\n%s", err, UpdateGolden, got)
		return
	}
	want := strings.ReplaceAll(string(raw), "\r\n", "\n") // as git may write it on Windows
	if got != want {
		s.t.Errorf("the transcript differs from %s (%s=1 go test writes it):\n%s", file, UpdateGolden,
			difference(want, got))
	}
}

// difference shows two texts from the first line on in which they differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	n := 0
	for n < len(w) && n < len(g) && w[n] == g[n] {
		n++
	}
	return fmt.Sprintf("line %d\n--- want\n%s\n--- got\n%s", n+1, strings.Join(w[n:], "\n"), strings.Join(g[n:], "\n"))
}

// changing is what differs from one run to the next, and what stands for it.
var changing = []struct {
	mask *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`), "<time>"},
	{regexp.MustCompile(`\b[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b`), "<uuid>"},
	{regexp.MustCompile(`\b[0-9a-f]{16,}\b`), "<hex>"},
	{regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|localhost):\d+`), "<address>"},
}

// Transcript is what happened so far: calls, events, questions and what came of them, each below
// the call of which it is a part, in the order in which they began. Times, UUIDs, long hexadecimal
// numbers, the test's folders, addresses of this machine and what a mask matches are replaced by a
// word. Things that overlapped are sorted by their text. Where goroutines of an agent call at the
// same time, have the answers take some time inside testing/synctest ([Delay]): calls that happen
// not to overlap are in the order in which they were made. It waits until every event has been
// handled, as Settle does.
func (s *System) Transcript(masks ...*regexp.Regexp) string {
	s.t.Helper()
	s.Settle()
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	w := &transcript{below: map[*step][]*step{}, mask: func(text string) string {
		for _, m := range masks {
			text = m.ReplaceAllString(text, "<masked>")
		}
		for _, dir := range s.dirs() {
			text = strings.ReplaceAll(text, dir, "<dir>")
		}
		for _, c := range changing {
			text = c.mask.ReplaceAllString(text, c.name)
		}
		return text
	}}
	roots := map[string][]*step{}
	for _, st := range s.rec.steps {
		if st.above != nil {
			w.below[st.above] = append(w.below[st.above], st)
		} else {
			roots[st.by()] = append(roots[st.by()], st)
		}
	}
	// The test first, then the Runners, which work at the same time.
	out := w.all(roots[Caller], "")
	delete(roots, Caller)
	for _, name := range slices.Sorted(maps.Keys(roots)) {
		out += w.all(roots[name], "")
	}
	return out
}

// dirs are the folders of the agents' state.
func (s *System) dirs() (dirs []string) {
	for _, r := range s.order {
		dirs = append(dirs, r.Host.Env().StateDir)
	}
	return dirs
}

type transcript struct {
	below map[*step][]*step
	mask  func(string) string
}

// all writes steps of one call. Those that overlap have no order of their own.
func (w *transcript) all(steps []*step, indent string) string {
	var out strings.Builder
	for len(steps) > 0 {
		n, end := 1, w.over(steps[0])
		for n < len(steps) && steps[n].begin < end {
			end = max(end, w.over(steps[n]))
			n++
		}
		var texts []string
		for _, s := range steps[:n] {
			texts = append(texts, w.one(s, indent))
		}
		slices.Sort(texts)
		out.WriteString(strings.Join(texts, ""))
		steps = steps[n:]
	}
	return out.String()
}

// over is when a step had ended.
func (w *transcript) over(s *step) int {
	switch {
	case s.event != nil: // what it causes goes on beside its publisher
		return s.begin
	case s.end == 0:
		return int(^uint(0) >> 1)
	}
	return s.end
}

func (w *transcript) one(s *step, indent string) string {
	line := func(format string, args ...any) string {
		text := strings.TrimRight(w.mask(fmt.Sprintf(format, args...)), " ")
		return indent + strings.ReplaceAll(text, "\n", "\n"+indent+"  ") + "\n"
	}
	below := w.all(w.below[s], indent+"  ")
	switch {
	case s.event != nil:
		return line("%s publishes %s %s", s.by(), s.event.Topic, compact(s.event.Payload)) + below
	case s.question != nil:
		return line("%s asks %s %s", s.above.call.Agent, audience(s.question.Kind), compact(s.question.Params)) +
			line("= %s", outcome(s.end != 0, compact(s.result), s.err))
	}
	c := s.call
	if c.Op == agent.OpEvent {
		head := line("%s gets %s", c.Agent, c.Name)
		if c.Err == nil && c.Done {
			return head + below
		}
		return head + below + line("= %s", outcome(c.Done, "", c.Err))
	}
	verb := "calls"
	switch c.Op {
	case agent.OpPrompt:
		verb = "gets the prompt"
	case agent.OpResource:
		verb = "reads"
	case agent.OpComplete:
		verb = "completes"
	}
	return line("%s %s %s %s", s.by(), verb, c.Target(), compact(c.Input)) + below +
		line("= %s", outcome(c.Done, shown(c.Result), c.Err))
}

// by is who did a step.
func (s *step) by() string {
	if s.event != nil {
		return s.event.Source
	}
	return s.call.From.Agent
}

func audience(kind string) string {
	switch kind {
	case agent.AskElicit:
		return "the user"
	case agent.AskSample:
		return "the model"
	}
	return "the caller for " + kind
}

func outcome(done bool, result string, err error) string {
	switch {
	case !done:
		return "under way"
	case err != nil:
		return err.Error()
	}
	return result
}

// shown is a result on a line.
func shown(r *agent.Result) string {
	switch {
	case r == nil:
		return ""
	case len(r.Structured) > 0:
		return compact(r.Structured)
	}
	var all []string
	for _, c := range r.Content {
		raw, err := json.Marshal(c)
		switch {
		case err != nil:
			all = append(all, err.Error())
		case c.Type == agent.ContentText:
			all = append(all, c.Text)
		default:
			all = append(all, string(raw))
		}
	}
	return strings.Join(all, "\n")
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) == 0 || json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}
