package main

import (
	"fmt"
	"strings"
	"testing"
)

// The report of the demo is the same without and with the monkey, who kills a process that has a
// call.
func TestChaosProfile(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{}
	for i := range 8 * batch { // so that the monkey comes in time
		files[fmt.Sprintf("f%03d.go", i)] = strings.Replace(tangled, "Price", fmt.Sprintf("Price%d", i), 2)
	}
	write(t, root, files)
	demo := func(args ...string) (report, shown string) {
		p := startProject(t, "openmas.yaml", root, append(args, "--once")...)
		if code := p.code(t); code != 0 {
			t.Fatalf("exit %d\n%s", code, &p.err)
		}
		return p.report(t), p.out.String()
	}
	want, _ := demo()
	got, shown := demo("--profile", "chaos")
	if got != want || !strings.Contains(got, "320 functions") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(shown, "The monkey has killed process ") {
		t.Errorf("nobody was killed:\n%s", shown)
	}
}
