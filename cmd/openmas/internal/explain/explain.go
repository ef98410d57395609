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
		Use:        "explain [CODE | KEY]",
		SuggestFor: []string{"man", "docs", "describe"},
		Short:      "Say what an error code or a key of the project file means",
		Long: `Say what an error code means and what to do, or what a key of the project file is: its type, its
default, its bounds and a sentence. A key may be written with the names of agents in it, in part, or as the
section that it is in. Without either, the codes and the sections are listed.`,
		Example: `  openmas explain unavailable
  openmas explain agents.search.timeout
  openmas explain gateway`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: complete,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return showAll(a.Out)
			}
			return explain(a.Out, args[0])
		},
	}
}

// complete completes a code, or a key of the project file: its next part.
func complete(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	if len(args) > 0 {
		return nil, directive
	}
	var words []string
	if !strings.Contains(typed, ".") {
		for _, c := range codes {
			if strings.HasPrefix(string(c.code), typed) {
				words = append(words, fmt.Sprintf("%s\t%s", c.code, plain(c.means)))
			}
		}
	}
	parts := strings.Split(typed, ".")
	before, last := parts[:len(parts)-1], parts[len(parts)-1]
	for _, k := range project.Keys() {
		path := strings.Split(k.Path, ".")
		if len(path) < len(parts) || !fits(before, path[:len(before)]) || !strings.HasPrefix(path[len(before)], last) {
			continue
		}
		word := strings.Join(append(slices.Clone(before), path[len(before)]), ".")
		if slices.ContainsFunc(words, func(w string) bool { w, _, _ = strings.Cut(w, "\t"); return w == word }) {
			continue
		}
		if len(path) == len(parts) {
			first, _, _ := strings.Cut(k.Meaning, ". ")
			word += "\t" + strings.TrimSuffix(first, ".")
		}
		words = append(words, word)
	}
	return words, directive
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
		return errors.Join(showKey(w, exact[0], nil), showKeys(w, below))
	case len(exact) > 1 && alike(exact):
		return errors.Join(showKey(w, exact[len(exact)-1], exact[:len(exact)-1]), showKeys(w, ofAll(below)))
	case len(exact) > 1:
		return showKeys(w, exact)
	case len(below) > 0:
		return showKeys(w, ofAll(below))
	}
	hint := nearest.Meant(word, others)
	if hint == "" {
		hint = "; openmas explain alone lists the codes and the sections"
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

// alike reports whether keys say the same of a project, an agent and a tool.
func alike(keys []project.KeyInfo) bool {
	return !slices.ContainsFunc(keys, func(k project.KeyInfo) bool { return k.Meaning != keys[0].Meaning })
}

// ofAll leaves out the keys of an agent and a tool where there is one for all, which names them.
func ofAll(keys []project.KeyInfo) []project.KeyInfo {
	return slices.DeleteFunc(slices.Clone(keys), func(k project.KeyInfo) bool {
		rest, one := strings.CutPrefix(k.Path, "agents.NAME.")
		rest = strings.TrimPrefix(rest, "tools.TOOL.")
		return one && slices.ContainsFunc(keys, func(o project.KeyInfo) bool { return o.Path == "defaults."+rest })
	})
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
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", c.code, plain(c.means))
	for _, part := range []struct{ what, text string }{{"often", c.often}, {"made again", plain(c.again)},
		{"what to do", plain(c.doNow)}} {
		for n, l := range wrapped(part.text, 84) {
			if n > 0 {
				part.what = ""
			}
			fmt.Fprintf(&b, "  %-12s%s\n", part.what, l)
		}
	}
	for _, t := range terms {
		if !strings.Contains(plain(c.again), t.word) {
			continue
		}
		for _, l := range wrapped(t.means, 96) {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// showAll lists the codes, and the sections of the project file.
func showAll(w io.Writer) error {
	var b strings.Builder
	b.WriteString("The codes of errors:\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "  %-20s%s\n", c.code, plain(c.means))
	}
	b.WriteString("The keys and sections of the project file:\n")
	var words []string
	for _, k := range project.Keys() {
		if word, _, _ := strings.Cut(k.Path, "."); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	for _, l := range wrapped(strings.Join(words, ", "), 96) {
		fmt.Fprintf(&b, "  %s\n", l)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// preset is what a key is that nobody wrote.
func preset(k project.KeyInfo) string {
	if len(k.Inherits) == 0 {
		return cmp.Or(k.Default, map[string]string{"yes or no": "no"}[k.Type], "none")
	}
	from := "that of " + strings.Join(k.Inherits, ", then of ")
	if k.Default != "" {
		from += ", which is " + k.Default
	}
	return from
}

// showKey shows a key. There may be others that say the same of something in particular.
func showKey(w io.Writer, k project.KeyInfo, others []project.KeyInfo) error {
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
	for n, o := range others {
		line(map[bool]string{true: "for one"}[n == 0], o.Path)
	}
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

// manyKeys is how many are too many to repeat those of an agent for each of its tools.
const manyKeys = 40

var oneOfTool = regexp.MustCompile(`^agents\.NAME\.tools\.TOOL\.[^.]+(\.|$)`)

func showKeys(w io.Writer, keys []project.KeyInfo) error {
	if len(keys) > manyKeys {
		ofTool := func(k project.KeyInfo) bool { return oneOfTool.MatchString(k.Path) }
		keys = append(slices.DeleteFunc(slices.Clone(keys), ofTool),
			project.KeyInfo{Path: "agents.NAME.tools.TOOL", Meaning: "Those from timeout on, for one tool."})
	}
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
