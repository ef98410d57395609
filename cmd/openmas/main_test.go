package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/cli"
)

func run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	p := program()
	p.Environ = []string{}
	code = cli.Run(t.Context(), p, args, cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// Words that were commands once, and those with a typo, are answered with the command that is
// meant.
func TestUnknownCommands(t *testing.T) {
	for line, want := range map[string]string{
		"connect --stdio --url http://h": `unknown command "connect" for "openmas"; did you mean "openmas mcp connect"?`,
		"mcp-config --client vscode":     `did you mean "openmas mcp config"?`,
		"import mcp.json":                `did you mean "openmas mcp import"?`,
		"mcp conect --url http://h":      `unknown command "conect" for "openmas mcp"; did you mean "openmas mcp connect"?`,
		"diagnose":                       `did you mean "openmas doctor"?`,
		"new demo":                       `did you mean "openmas init"?`,
		"explian timeout":                `did you mean "openmas explain"?`,
		"help mcp improt":                `did you mean "openmas mcp import"?`,
	} {
		if code, out, err := run(t, strings.Fields(line)...); code != 2 || !strings.Contains(err, want) || out != "" {
			t.Errorf("%s: exit %d, %q, %q; want 2 and %q", line, code, out, err, want)
		}
	}
}

// Openmas has the commands for which a user's own program refers to it.
func TestOpenmasHasWhatOtherProgramsHaveNot(t *testing.T) {
	for _, name := range cli.OnlyOpenmas {
		if code, out, err := run(t, name, "--help"); code != 0 || !strings.Contains(out, "openmas "+name) {
			t.Errorf("%s: exit %d, %s", name, code, err)
		}
	}
}
