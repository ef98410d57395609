package stack

import (
	"strings"
	"testing"
)

func breaks(a []int) int { return a[3] }

func recovered(f func()) (s string) {
	defer func() {
		_ = recover()
		s = OfPanic()
	}()
	f()
	return ""
}

// The first function is the one that panics, also where a deferred function has recovered another
// panic before.
func TestOfPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"of the runtime": func() { breaks(nil) },
		"in a deferred function": func() {
			defer breaks(nil)
			panic("the first one")
		},
	} {
		lines := strings.Split(recovered(f), "\n")
		if !strings.HasPrefix(lines[0], "goroutine ") {
			t.Errorf("%s: %q", name, lines[0])
		}
		// the runtime's own check of a bound may stand before it
		first := lines[1]
		for n := 1; strings.HasPrefix(first, "runtime."); n += 2 {
			first = lines[n+2]
		}
		if !strings.HasPrefix(first, "github.com/openmas/openmas/internal/stack.breaks(") {
			t.Errorf("%s: %q\n%s", name, first, strings.Join(lines, "\n"))
		}
	}
}

func TestFromPanic(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "goroutine 1 [running]:": "goroutine 1 [running]:",
		"head\nf()\n\tfile:1\n":    "head\nf()\n\tfile:1\n",
		"head\npanic({1, 2})\n\tx": "head\npanic({1, 2})\n\tx",
		"head\na()\n\ta.go:1\npanic({1})\n\tpanic.go:2\nmain.f()\n\tf.go:3\n": "head\nmain.f()\n\tf.go:3\n",
	} {
		if got := fromPanic(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
