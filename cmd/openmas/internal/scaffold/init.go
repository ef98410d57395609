// Package scaffold is openmas init: it makes a project that runs.
package scaffold

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/nearest"
)

// Command is openmas init.
func Command(a *cli.App) *cobra.Command {
	var name, replace string
	c := &cobra.Command{
		Use:        "init NAME",
		SuggestFor: []string{"new", "create", "scaffold", "generate"},
		Short:      "Make a new project",
		Long: `Make the folder NAME with a project that runs: agents in Go that call each other, a test, the project
file and what builds an image of it. NAME is . for the folder where you are: what is missing there is added,
and no file is changed, but for a go.mod that does not require openmas yet. Where there is Go code already, the
agents come into the folder agents.

The templates:
  hello     two agents, one calls the other
  pipeline  a text goes through three agents, one after the other
  polyglot  an agent in Go calls one in Python
  llm       a model calls the tools of the other agents; it needs no key`,
		Example: `  openmas init demo
  openmas init words --template pipeline
  openmas init .`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			n := slices.IndexFunc(templates, func(t template) bool { return t.name == name })
			if n < 0 {
				return cli.Usage(fmt.Errorf("--template %q: there is no such template; %s", name,
					nearest.Hint(name, names())))
			}
			return create(c.Context(), a, args[0], templates[n], replace)
		},
	}
	c.Flags().StringVar(&name, "template", "hello", "`TEMPLATE`: hello, pipeline, polyglot or llm")
	c.Flags().StringVar(&replace, "replace", "", "the `FOLDER` of a clone of openmas that the new module is to use "+
		"(default: the one that this openmas was built in, if it is still there)")
	return c
}

// validName is what a project may be called.
var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// create makes the project, and says what was done.
func create(ctx context.Context, a *cli.App, folder string, t template, replace string) error {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	here := filepath.Clean(folder) == "."
	project := filepath.Base(dir)
	if !validName.MatchString(project) {
		fit := fitting(project)
		if !here {
			return cli.Usage(fmt.Errorf("%q is no name for a project: lower-case letters, digits and hyphens, a "+
				"letter first, at most 32; try openmas init %s", project, filepath.Join(filepath.Dir(folder), fit)))
		}
		project = fit
	}
	from, err := source(replace)
	if err != nil {
		return err
	}
	p := plan{dir: dir, shown: filepath.Clean(folder), project: project, template: t}
	if err := p.place(); err != nil {
		return err
	}
	if err := p.write(a.Out); err != nil {
		return err
	}
	if err := p.module(ctx, a, from); err != nil {
		return err
	}
	p.next(a.Err)
	return nil
}

// fitting makes a name for a project of that of a folder.
func fitting(name string) string {
	name = regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-")
	name = strings.TrimLeft(name, "-0123456789")
	name = strings.Trim(name[:min(len(name), 32)], "-")
	if name == "" {
		return "demo"
	}
	return name
}

// next says what to type now.
func (p *plan) next(w io.Writer) {
	cd := ""
	if p.shown != "." {
		cd = "cd " + p.shown + " && "
	}
	fmt.Fprintf(w, "openmas: next: %sopenmas run\n", cd)
	fmt.Fprintf(w, "openmas: or, to have each change live as you save it: %sopenmas dev\n", cd)
	if p.made {
		fmt.Fprintf(w, "openmas: and in another terminal: %sopenmas call %s\n", cd, p.template.call)
	}
	if p.made && slices.Contains(p.template.extra, "stats.py") {
		if _, err := exec.LookPath("python3"); err != nil {
			fmt.Fprintln(w, "openmas: note: there is no program python3 here, which the agent stats needs")
		}
	}
}
