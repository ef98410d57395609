package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/openmas/openmas/internal/nearest"
)

// OnlyOpenmas are the commands that the openmas command has and a user's own program has not.
var OnlyOpenmas = []string{"build", "dev", "doctor", "explain", "init", "mcp"}

// endings are commands of other programs that end what runs.
var endings = []string{"down", "kill", "halt", "shutdown"}

// answerUnknown has every command answer unknown commands, flags and arguments with what is meant,
// as errors of usage.
func answerUnknown(root *cobra.Command) {
	root.SetFlagErrorFunc(unknownFlag)
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err == nil {
		help.Args = func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || len(rest) == 0 {
				return err
			}
			return unknownCommand(c, rest[0])
		}
	}
	for c := range below(root) {
		check := c.Args
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			if exit := (*exitError)(nil); err == nil || errors.As(err, &exit) {
				return err
			}
			return Usage(fmt.Errorf("%w\nUsage: %s", err, c.UseLine()))
		}
	}
}

// below yields every command under c, the nearer ones first.
func below(c *cobra.Command) func(yield func(*cobra.Command) bool) {
	return func(yield func(*cobra.Command) bool) {
		for queue := c.Commands(); len(queue) > 0; queue = queue[1:] {
			if !yield(queue[0]) {
				return
			}
			queue = append(queue, queue[0].Commands()...)
		}
	}
}

// knownCommand is the check of the arguments of a command that only holds others.
func knownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(c, args[0])
}

// unknownCommand says which command is meant by a word that is none under c. A command is known by
// its name wherever it stands, by its path with hyphens, and by the words that other programs have
// for it.
func unknownCommand(c *cobra.Command, word string) error {
	known := map[string]*cobra.Command{}
	know := func(word string, meant *cobra.Command) {
		if _, taken := known[word]; !taken {
			known[word] = meant
		}
	}
	for _, start := range []*cobra.Command{c, c.Root()} {
		for meant := range below(start) {
			if !meant.IsAvailableCommand() {
				continue
			}
			know(meant.Name(), meant)
			if meant.HasParent() && meant.Parent().HasParent() {
				know(meant.Parent().Name()+"-"+meant.Name(), meant)
			}
			for _, other := range meant.SuggestFor {
				know(other, meant)
			}
		}
	}
	hint := fmt.Sprintf("\nSee '%s --help'", c.CommandPath())
	if !c.HasParent() && slices.Contains(endings, word) {
		hint = "; openmas stop --all, or Ctrl-C where it runs, stops a project in order"
	} else if near := nearest.Word(word, slices.Collect(maps.Keys(known))); near != "" {
		hint = fmt.Sprintf("; did you mean \"%s\"?", known[near].CommandPath())
	} else if !c.HasParent() && slices.Contains(OnlyOpenmas, word) {
		hint = "; the openmas command has it, and this program is another one"
	}
	return Usage(fmt.Errorf("unknown command %q for %q%s", word, c.CommandPath(), hint))
}

// unknownFlag adds to an error of the flags what is meant.
func unknownFlag(c *cobra.Command, err error) error {
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return unknownCommand(c, c.Flags().Arg(0)) // the flag is one of a command that is not there
	}
	hint := fmt.Sprintf("\nSee '%s --help'", c.CommandPath())
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		switch near := nearest.Word(name, known); {
		case name == "f" && c.Flags().Lookup("project") != nil:
			hint = "; a project file is given with -p"
		case len(name) > 1 && near != "":
			hint = fmt.Sprintf("; did you mean --%s?", near)
		}
	}
	return Usage(fmt.Errorf("%w%s", err, hint))
}

// NoArguments is the check of the arguments of a command that has none.
func NoArguments(c *cobra.Command, args []string) error {
	hint := ""
	switch {
	case len(args) == 0:
		return nil
	case strings.Contains(args[0], "://") && c.Flags().Lookup("url") != nil:
		hint = "; a URL is given with --url"
	case c.Flags().Lookup("project") != nil:
		hint = "; a project file is given with -p"
	}
	return Usage(fmt.Errorf("%q: %q takes no arguments%s", args[0], c.CommandPath(), hint))
}
