package doctest

import (
	"strings"
	"testing"
)

// Comments are at most 100 columns wide, with tabs of four. Lines that godoc shows as they are may
// be as wide as code.
func TestComments(t *testing.T) {
	for _, name := range files(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		for i, line := range strings.Split(read(t, name), "\n") {
			comment, ok := strings.CutPrefix(strings.TrimSpace(line), "//")
			limit := 100
			if strings.HasPrefix(comment, "\t") {
				limit = 120
			}
			if n := columns(line); ok && n > limit {
				t.Errorf("%s:%d: a comment of %d columns, more than %d", name, i+1, n, limit)
			}
		}
	}
}

// Prose is at most 120 columns wide. Tables and blocks are as wide as they are.
func TestProse(t *testing.T) {
	for _, name := range pages(t) {
		block := false
		for i, line := range strings.Split(read(t, name), "\n") {
			fence := strings.HasPrefix(line, "```")
			if block = block != fence; block || fence || strings.HasPrefix(line, "|") {
				continue
			}
			if n := columns(line); n > 120 {
				t.Errorf("%s:%d: a line of %d columns, more than 120", name, i+1, n)
			}
		}
	}
}

// columns is the width of a line.
func columns(line string) int {
	return len([]rune(strings.ReplaceAll(line, "\t", "    ")))
}
