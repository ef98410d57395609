package calls

import (
	"slices"
	"strings"
	"testing"
)

func TestPathsCross(t *testing.T) {
	for _, c := range []struct {
		caller string
		path   []string
		wire   string
	}{
		{"", nil, ""},
		{"a", []string{"a"}, ""},
		{"", []string{"a"}, "a"},
		{"b", []string{"a", "b"}, "a,b"},
		{"a-1", []string{"a-1", "b", "a-1"}, "a-1,b,a-1"},
	} {
		if got := JoinPath(c.path, c.caller); got != c.wire {
			t.Errorf("%v is written as %q", c.path, got)
		}
		if got, ok := SplitPath(c.wire, c.caller); !ok || !slices.Equal(got, c.path) {
			t.Errorf("%q is read as %v, %v", c.wire, got, ok)
		}
	}
	long := strings.TrimSuffix(strings.Repeat("a,", maxPath), ",")
	if got, ok := SplitPath(long, "b"); !ok || len(got) != maxPath {
		t.Errorf("a path of %d was refused", maxPath)
	}
	for _, bad := range []string{",", "a,", ",a", "a,,b", "A", "a b", "a/0", strings.Repeat("a", maxName+1),
		long + ",a"} {
		if got, ok := SplitPath(bad, "b"); ok {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func TestRootsCross(t *testing.T) {
	for _, c := range [][3]string{{"1", "1", ""}, {"1", "2", "1"}} {
		if got := WriteRoot(c[0], c[1]); got != c[2] || ReadRoot(got, c[1]) != c[0] {
			t.Errorf("the root %s of %s is written as %q", c[0], c[1], got)
		}
	}
}
