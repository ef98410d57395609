// Package called has a program of another name speak of its commands by that name: "crew status",
// where texts are written with "openmas status".
package called

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Openmas is the name that texts are written with.
const Openmas = "openmas"

// A Name is what a program is called. The zero Name is [Openmas].
type Name struct {
	name     string
	commands *regexp.Regexp // "openmas status", for each command that the program has
}

// As is the name of a program that has the commands of root. Those of the openmas command that it
// has not stay "openmas build".
func As(name string, root *cobra.Command) Name {
	if name == "" || name == Openmas {
		return Name{}
	}
	words := []string{"--help"}
	for _, c := range root.Commands() {
		words = append(words, regexp.QuoteMeta(c.Name()))
	}
	return Name{name, regexp.MustCompile(`(^|[^\w./-])` + Openmas + ` (` + strings.Join(words, "|") + `)\b`)}
}

// String is the name.
func (n Name) String() string {
	if n.name == "" {
		return Openmas
	}
	return n.name
}

// In is a text with the program's own name before its commands. A word of somebody else in it that
// reads like a command is taken for one: it means the same.
func (n Name) In(text string) string {
	if n.commands == nil || !strings.Contains(text, Openmas) {
		return text
	}
	return n.commands.ReplaceAllString(text, "${1}"+strings.ReplaceAll(n.name, "$", "$$")+" $2")
}

// Help gives the help of root, and of the commands below it, the program's own name.
func (n Name) Help(root *cobra.Command) {
	if n.commands == nil {
		return
	}
	root.Short, root.Long, root.Example = n.In(root.Short), n.In(root.Long), n.In(root.Example)
	root.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = n.In(f.Usage) })
	for _, c := range root.Commands() {
		n.Help(c)
	}
}
