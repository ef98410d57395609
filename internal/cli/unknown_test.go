package cli

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// An old word, one of another program, or one with a typo is answered with the command that is
// meant.
func TestUnknownCommands(t *testing.T) {
	for line, want := range map[string]string{
		"rum":                        `unknown command "rum" for "openmas"; did you mean "openmas run"?`,
		"rum --once x.yaml":          `did you mean "openmas run"?`,
		"up":                         `did you mean "openmas run"?`,
		"ps":                         `did you mean "openmas status"?`,
		"top -w":                     `did you mean "openmas status"?`,
		"down":                       "openmas stop --all, or Ctrl-C where it runs, stops a project in order",
		"check x.yaml":               `did you mean "openmas validate"?`,
		"ls":                         `did you mean "openmas list"?`,
		"dev":                        `"dev" for "openmas"; the openmas command has it, and this program is another one`,
		"inspect":                    `did you mean "openmas list"?`,
		"chat":                       `did you mean "openmas call"?`,
		"dead":                       `did you mean "openmas events dead"?`,
		"events bury":                `unknown command "bury" for "openmas events"` + "\nSee 'openmas events --help'",
		"events repaly 3":            `unknown command "repaly" for "openmas events"; did you mean "openmas events replay"?`,
		"help evnets":                `did you mean "openmas events"?`,
		"help events repaly":         `did you mean "openmas events replay"?`,
		"frobnicate":                 `unknown command "frobnicate" for "openmas"` + "\nSee 'openmas --help'",
		"run --unknown":              "unknown flag: --unknown\nSee 'openmas run --help'",
		"--unknown":                  "unknown flag: --unknown\nSee 'openmas --help'",
		"list -f x.yaml":             "'f' in -f; a project file is given with -p",
		"events dead x.yaml":         `"x.yaml": "openmas events dead" takes no arguments; a project file is given with -p`,
		"status http://127.0.0.1:1":  `takes no arguments; a URL is given with --url`,
		"version 3":                  `"3": "openmas version" takes no arguments`,
		"mcp config --client vscode": `"mcp" for "openmas"; the openmas command has it, and this program is another one`,
	} {
		if r := run(t, "", strings.Fields(line)...); r.code != exitUsage || !strings.Contains(r.err, want) ||
			r.out != "" {
			t.Errorf("%s: exit %d, %q, %q; want 2 and %q", line, r.code, r.out, r.err, want)
		}
	}
}

// Every command has a short text, and each shorthand means the same everywhere: -f is kept for
// commands that follow something.
func TestCommandsAreAlike(t *testing.T) {
	shorthands := map[string]string{"f": "follow", "n": "lines", "p": "project", "h": "help", "w": "watch"}
	root := (&App{}).root()
	n := 0
	for c := range below(root) {
		n++
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || c.Args == nil && c.Name() != "help" {
			t.Errorf("%s: %q", c.CommandPath(), c.Short)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Shorthand != "" && shorthands[f.Shorthand] != f.Name {
				t.Errorf("%s: -%s is --%s, and --%s elsewhere", c.CommandPath(), f.Shorthand, f.Name,
					shorthands[f.Shorthand])
			}
		})
		for _, line := range strings.Split(c.Long, "\n") {
			if len(line) > 110 {
				t.Errorf("%s: a line of %d characters: %s", c.CommandPath(), len(line), line)
			}
		}
	}
	if n < 8 {
		t.Errorf("%d commands", n)
	}
}

// A command that reads a project takes it with -p, and finds it by the same rule.
func TestProjectFlag(t *testing.T) {
	path := projectFile(t, crew)
	for _, args := range [][]string{{"run", "--once", "--agents", "nobody"}, {"validate"}, {"list"},
		{"call", "greeter.greet", "name=Ada"}, {"events", "dead"}, {"events", "replay", "--all"}} {
		long, short := append(args, "--project", path), append(args, "-p", path)
		a, b := run(t, "", long...), run(t, "", short...)
		if strings.Contains(a.err, "no project file") || a.code != b.code || a.out != b.out {
			t.Errorf("%q: %+v, with -p %+v", args, a, b)
		}
		t.Chdir(t.TempDir())
		if r := run(t, "", args...); r.code != exitUsage || !strings.Contains(r.err, "no project file: neither") {
			t.Errorf("%q in an empty folder: %+v", args, r)
		}
	}
}

func TestOneSecondLevelNameIsOne(t *testing.T) {
	names := map[string]string{}
	for c := range below((&App{}).root()) {
		if other, taken := names[c.Name()]; taken {
			t.Errorf("%s and %s: an unknown command %q is answered with one of them", other, c.CommandPath(), c.Name())
		}
		names[c.Name()] = c.CommandPath()
		for _, word := range c.SuggestFor {
			if _, taken := names[word]; taken {
				t.Errorf("%s is suggested for %q, which is a command", c.CommandPath(), word)
			}
		}
	}
}
