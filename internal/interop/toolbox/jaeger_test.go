package toolbox

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// What go build prints is read to its end, whatever it is: it does not end before.
func TestReadBuild(t *testing.T) {
	long := "flag " + strings.Repeat("x", 100_000)
	for _, c := range []struct {
		in, said string
		compiled int
	}{
		{"", "", 0},
		{"a.org/b\na.org/c\n", "", 2},
		{"a.org/b", "", 1},
		{"a.org/b\n# a.org/c\nc.go:1: no\na.org/d\n", "# a.org/c\nc.go:1: no\n", 2},
		{long + "\na.org/b\n", long + "\n", 1},
	} {
		r, compiled := strings.NewReader(c.in), 0
		said := readBuild(r, func(n int) { compiled = n })
		if said != c.said || compiled != c.compiled || r.Len() > 0 {
			t.Errorf("%.40q: %d packages, said %.40q, %d bytes are left", c.in, compiled, said, r.Len())
		}
	}
	broken := io.MultiReader(strings.NewReader("no go\n"), iotest.ErrReader(errors.New("gone")))
	if said := readBuild(broken, func(int) {}); said != "no go\n" {
		t.Errorf("said %q before its output failed", said)
	}
}
