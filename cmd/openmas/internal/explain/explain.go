// Package explain is openmas explain: what an error code or a key of the project file means.
package explain

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/runtime/project"
)

// Command is openmas explain.
func Command(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:        "explain CODE | KEY",
		SuggestFor: []string{"man", "docs", "describe"},
		Short:      "Say what an error code or a key of the project file means",
		Long: `Say what an error code means and what to do, or what a key of the project file is: its type, its
default, its bounds and a sentence. A key may be written with the names of agents in it, in part, or as the
section that it is in.`,
		Example: `  openmas explain unavailable
  openmas explain agents.search.timeout
  openmas explain gateway`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return explain(a.Out, args[0]) },
	}
}

func explain(w io.Writer, word string) error {
	word = strings.Trim(strings.TrimSpace(word), ".:`")
	for _, c := range codes {
		if string(c.code) == strings.ToLower(word) {
			return showCode(w, c)
		}
	}
	exact, below, others := find(strings.Split(word, "."))
	switch {
	case len(exact) == 1:
		return errors.Join(showKey(w, exact[0]), showKeys(w, below))
	case len(exact) > 1:
		return showKeys(w, exact)
	case len(below) > 0:
		return showKeys(w, below)
	}
	hint := nearest.Meant(word, others)
	if hint == "" {
		hint = "; openmas validate --schema lists the keys, and docs/reference/errors.md the codes"
	}
	return cli.Usage(fmt.Errorf("%q is no error code and no key of the project file%s", word, hint))
}

// find finds keys: those that word names, in whole or by their ends, those below such a section,
// and all words that could have been meant.
func find(word []string) (exact, below []project.KeyInfo, known []string) {
	for _, c := range codes {
		known = append(known, string(c.code))
	}
	var ends, endsBelow []project.KeyInfo
	for _, k := range project.Keys() {
		path := strings.Split(k.Path, ".")
		known = append(known, k.Path, path[len(path)-1])
		switch {
		case fits(word, path):
			exact = append(exact, k)
		case len(path) > len(word) && fits(word, path[:len(word)]):
			below = append(below, k)
		}
		for n := 1; n+len(word) <= len(path); n++ {
			if !fits(word, path[n:n+len(word)]) || isName(path[n]) {
				continue
			}
			if n+len(word) == len(path) {
				ends = append(ends, k)
			} else {
				endsBelow = append(endsBelow, k)
			}
		}
	}
	if len(exact)+len(below) == 0 {
		exact, below = ends, endsBelow
	}
	slices.Sort(known)
	return exact, below, slices.Compact(known)
}

// isName reports whether a part of a path stands for what a user names.
func isName(part string) bool { return part == strings.ToUpper(part) }

// fits reports whether word is the path, with names of the user's in it.
func fits(word, path []string) bool {
	return slices.EqualFunc(word, path, func(w, p string) bool { return w == p || isName(p) && w != "" })
}

var link = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)

// plain is a sentence of the documentation without its markup.
func plain(s string) string { return strings.ReplaceAll(link.ReplaceAllString(s, "$1"), "`", "") }

func showCode(w io.Writer, c code) error {
	_, err := fmt.Fprintf(w, "%s: %s\n  made again: %s\n  what to do: %s\n  more: docs/reference/errors.md\n", c.code,
		plain(c.means), plain(c.again), plain(c.doNow))
	return err
}

// preset is what a key is that nobody wrote.
func preset(k project.KeyInfo) string {
	if len(k.Inherits) == 0 {
		return cmp.Or(k.Default, "none")
	}
	from := "that of " + strings.Join(k.Inherits, ", then of ")
	if k.Default != "" {
		from += ", which is " + k.Default
	}
	return from
}

func showKey(w io.Writer, k project.KeyInfo) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", k.Path)
	line := func(what, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-9s%s\n", what, value)
		}
	}
	line("type", k.Type+map[string]string{"duration": `, with a unit: "300ms", "3s", "5m"`,
		"size": `, with a unit: "512KiB", "4MiB"`}[k.Type])
	line("default", preset(k))
	switch {
	case k.Min != "" && k.Max != "":
		line("bounds", k.Min+" to "+k.Max)
	case k.Min != "":
		line("bounds", "at least "+k.Min)
	case k.Max != "":
		line("bounds", "at most "+k.Max)
	}
	line("one of", strings.Join(k.Words, ", "))
	if k.Off {
		line("off", "can be off")
	}
	line("only for", k.Only)
	if k.Secret {
		line("secret", "nobody is shown its value; write ${env:NAME} or ${file:PATH}")
	}
	for _, l := range wrapped(k.Meaning, 96) {
		fmt.Fprintf(&b, "  %s\n", l)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func showKeys(w io.Writer, keys []project.KeyInfo) error {
	wide := 0
	for _, k := range keys {
		wide = max(wide, len(k.Path))
	}
	for _, k := range keys {
		first, _, _ := strings.Cut(k.Meaning, ". ")
		if room := max(96-wide, 20); len([]rune(first)) > room {
			first = string([]rune(first)[:room-1]) + "…"
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", wide, k.Path, strings.TrimSuffix(first, ".")); err != nil {
			return err
		}
	}
	return nil
}

// wrapped is a text in lines of at most so many characters.
func wrapped(s string, most int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && len(line)+1+len(word) > most {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
