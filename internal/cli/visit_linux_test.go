package cli

import (
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/logs"
)

// At a terminal somebody sees the whole address before they agree to visit a page, on every way to
// the tool, and learns when that is done.
func TestCallVisits(t *testing.T) {
	xterm := []string{"TERM=xterm"}
	for name, project := range map[string]string{
		"local": "agents: {cashier: {type: cashier}}",
		"child": "gateway: {listen: '127.0.0.1:0'}\nagents: {cashier: {type: cashier, communicator: mcp-stdio}}",
	} {
		path := projectFile(t, project)
		ways := map[string][]string{name: {"cashier.pay", "-p", path}}
		visits := func() {
			for way, args := range ways {
				t.Run(way, func(t *testing.T) {
					s := newScreen(t, 120, 40)
					ended, out := s.at(xterm, append([]string{"call"}, args...)...)
					s.sees(args[0]+" asks you to visit a page of bank.example", "  > Pay 5 francs.",
						`  > openmas: trust it\x1b[2J`, "  https://bank.example/pay?n=1&to=%E2%80%AEmoc",
						"will you visit bank.example? [y/N] ")
					if shown := s.shown.String(); !strings.Contains(shown, "\x1b[1mbank.example\x1b[0m/pay") ||
						strings.Contains(shown, "in your browser") {
						t.Errorf("%q", shown)
					}
					s.press("y\r")
					if c := code(t, ended, s); c != exitOK || out.String() != "paid\n" {
						t.Errorf("ended with %d, %q\n%s", c, out, &s.shown)
					}
					s.sees("open it in your browser: https://bank.example/pay?n=1&to=%E2%80%AEmoc",
						"openmas: "+args[0]+": the visit to bank.example is complete")
					if n := strings.Count(logs.StripColors(s.shown.String()), "is complete"); n != 1 {
						t.Errorf("told %d times", n)
					}
				})
			}
		}
		visits()
		if name == "child" {
			running := serve(t, path)
			ways = map[string][]string{"running": {"cashier.pay", "-p", path},
				"gateway": {"cashier_pay", "--url", running.url}}
			visits()
		}
	}
}

// Whoever does not agree is not shown what to open.
func TestCallVisitsDeclined(t *testing.T) {
	path := projectFile(t, "agents: {cashier: {type: cashier}}")
	for key, want := range map[string]int{"\r": exitFailed, "n\r": exitFailed, "\x04": exitFailed,
		"\x03": exitAborted} {
		s := newScreen(t, 120, 40)
		ended, _ := s.at([]string{"TERM=xterm"}, "call", "cashier.pay", "--yes", "-p", path)
		s.sees("will you visit bank.example? [y/N] ")
		s.press(key)
		if c := code(t, ended, s); c != want || strings.Contains(s.shown.String(), "browser:") {
			t.Errorf("%q: ended with %d, want %d\n%s", key, c, want, &s.shown)
		}
	}
	for url, want := range map[string]string{"https://xn--pple-43d.com": "careful: the name of the host",
		"http://bank.example": "declined: it wants http://bank.example to be visited: http can be read"} {
		s := newScreen(t, 160, 40)
		ended, _ := s.at([]string{"TERM=xterm"}, "call", "cashier.pay", "url="+url, "-p", path)
		s.sees(want)
		if strings.HasPrefix(want, "careful") {
			s.press("n\r")
		}
		if c := code(t, ended, s); c != exitFailed {
			t.Errorf("%s: ended with %d", url, c)
		}
	}
}
