package testkit

import (
	"os/exec"
	"strings"
	"testing"
)

// What a program writes just before it ends is shown, however late it is read.
func TestTerminal(t *testing.T) {
	Processes(t)
	for range 50 {
		keys, program, err := OpenTerminal()
		if err != nil {
			t.Skip(err)
		}
		cmd := exec.Command("printf", "%01000d", "7")
		cmd.Stdin, cmd.Stdout = program, program
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = program.Close() // the program has its own
		var shown strings.Builder
		CopyShown(&shown, keys)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if text := shown.String(); len(text) != 1000 || !strings.HasSuffix(text, "07") {
			t.Errorf("%d bytes: %s", len(text), text)
		}
		_ = keys.Close()
	}
	var shown Buffer
	keys, program := Terminal(t, &shown)
	if _, err := keys.WriteString("typed"); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the keys are shown", func() bool { return shown.String() == "typed" }, &shown)
	if _, err := program.WriteString(" and shown\n"); err != nil {
		t.Fatal(err)
	}
	if rest := shown.Await(t, "typed and "); rest != "shown\r" {
		t.Errorf("%q", rest)
	}
}
