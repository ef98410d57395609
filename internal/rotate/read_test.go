package rotate

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A reader gets the last lines that it wants, then those that come, whole and once, over rotations.
func TestReader(t *testing.T) {
	state := t.TempDir()
	w := New(state, "logs", "a", Bounds{Size: 8 * 1000, Files: 100, Age: time.Hour})
	w.Open()
	defer w.Close()
	r := Reader{Dir: filepath.Join(state, "logs")}
	read := func(most int, keep string) (got []string) {
		t.Helper()
		lines, err := r.Next(most, func(l Line) bool { return strings.Contains(string(l.Text), keep) })
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			got = append(got, l.Process+":"+string(l.Text))
		}
		return got
	}
	if got := read(3, ""); got != nil {
		t.Errorf("without a folder: %q", got)
	}
	for n := range 20 {
		fmt.Fprintf(w, "even%v %d\n", n%2 == 0, n)
	}
	if got := read(3, "true"); !slices.Equal(got, []string{"a:eventrue 14", "a:eventrue 16", "a:eventrue 18"}) {
		t.Errorf("the last: %q", got)
	}
	for n := range 100 { // several files
		fmt.Fprintf(w, "%03d %s\n", n, strings.Repeat("x", 40))
	}
	got := read(0, "")
	slices.Sort(got) // files that were changed in one tick of the clock are in no order
	if len(got) != 100 || !strings.HasPrefix(got[0], "a:000") || !strings.HasPrefix(got[99], "a:099") {
		t.Errorf("what came: %d lines", len(got))
	}
	path := filepath.Join(r.Dir, "b.000001.jsonl")
	for _, part := range []string{"half", " and half\nne", "xt\n"} {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(part); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{"half": nil, " and half\nne": {"b:half and half"}, "xt\n": {"b:next"}}[part]
		if got := read(0, ""); !slices.Equal(got, want) {
			t.Errorf("after %q: %q", part, got)
		}
	}
}
