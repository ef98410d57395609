package cli

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
)

// The end of a terminal stops what was started there, in order.
func TestHangupOfATerminalStops(t *testing.T) {
	_, tty := testkit.Terminal(t, io.Discard)
	p := program(t, io.Discard, "run", projectFile(t, "agents: {worker: {type: worker}}"))
	p.Stdin = tty
	p.start()
	p.err.Await(t, "msg=ready")
	p.signal(unix.SIGHUP)
	if code := p.code(); code != exitOK || !strings.Contains(p.err.String(), "msg=stopped") {
		t.Errorf("exit %d\n%s", code, &p.err)
	}
}

// What steers a terminal is written out there, and nowhere else is a text changed.
func TestTextsOfStrangersOnATerminal(t *testing.T) {
	var out testkit.Buffer
	_, tty := testkit.Terminal(t, &out)
	nasty := "a\x1b[2Jb\u202ec\u009bd\te\nf"
	res := agent.TextResult(nasty)
	var pipe strings.Builder
	for _, w := range []io.Writer{tty, &pipe} {
		if err := showResult(w, res); err != nil {
			t.Fatal(err)
		}
		if err := WriteJSON(w, map[string]string{"x": nasty + "\x7f"}); err != nil {
			t.Fatal(err)
		}
		if err := showList(w, runtime.Listing{Agents: []agent.Info{{Name: "s", Description: nasty,
			Tools: []agent.ToolInfo{{Name: "t\u202e", Title: nasty, Description: nasty}}}}}); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintln(tty, "the end")
	out.Await(t, "the end")
	shown := out.String()
	for _, c := range []string{"\x1b", "\u202e", "\u009b", "\x7f"} {
		if strings.Contains(shown, c) {
			t.Errorf("%q stands in %q", c, shown)
		}
	}
	for _, want := range []string{`a\x1b[2Jb\u202ec\u009bd`, "e\r\nf", `t\u202e`} {
		if !strings.Contains(shown, want) {
			t.Errorf("no %q in %q", want, shown)
		}
	}
	if !strings.HasPrefix(pipe.String(), nasty+"\n") {
		t.Errorf("in a pipe: %q", pipe.String())
	}
}
