package doctest

import (
	"strings"
	"testing"
)

// The README is short, and names the commands of a newcomer.
func TestReadme(t *testing.T) {
	text := read(t, "README.md")
	if n := strings.Count(text, "\n"); n > 130 {
		t.Errorf("it has %d lines: more than two screens", n)
	}
	for _, want := range []string{"`make test`", "$ make run\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %s", want)
		}
	}
}

// The examples are to be read: hello in a minute, each agent of the review crew on two screens.
func TestExamplesAreShort(t *testing.T) {
	most := map[string]int{"01-hello/main.go": 40, "01-hello/openmas.yaml": 10}
	for _, name := range []string{"collector", "complexity", "linter", "historian", "editor"} {
		most["06-review-crew/"+name+".go"] = 120
	}
	for name, limit := range most {
		n := 0
		for line := range strings.Lines(read(t, "examples/"+name)) {
			if strings.TrimSpace(line) != "" || strings.HasPrefix(name, "06-review-crew/") {
				n++
			}
		}
		if n > limit {
			t.Errorf("%s has %d lines, more than %d", name, n, limit)
		}
	}
}
