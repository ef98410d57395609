// Package deploy is `openmas build`: a project as one program, and the files that deploy it.
package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime/project"
)

// Command makes `openmas build`.
func Command(a *cli.App) *cobra.Command {
	var p cli.ProjectFlags
	var out string
	wanted := make([]bool, len(kinds))
	c := &cobra.Command{
		Use:        "build [PROJECT]",
		SuggestFor: []string{"package", "compile", "deploy", "bundle"},
		Short:      "Build a project into one program, with the files that deploy it",
		Long: `Build the Go package of a project into one static program that has the project file in it: the
program is the project. It has all commands of openmas, and runs from any folder, in which it keeps its
state. GOOS and GOARCH build for another machine.

--docker, --systemd, --compose and --kubernetes write what deploys it beside the program. A file that is
there already is not touched.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := p.Argument(args); err != nil {
				return err
			}
			if p.Layers() {
				return cli.Usage(errors.New("--profile and --set do not go into the program: set OPENMAS_CONFIG__... " +
					"where it runs"))
			}
			if out == "" {
				return cli.Usage(errors.New("say where the program goes: -o FILE"))
			}
			vars, err := standIns(a, &p)
			if err != nil {
				return err
			}
			cfg, err := a.ReadProject(&p)
			if err != nil {
				return err
			}
			if err := compile(c.Context(), a, cfg, out); err != nil {
				return err
			}
			return write(a, describe(cfg, out, vars), out, wanted)
		},
	}
	p.Register(c)
	c.Flags().StringVarP(&out, "output", "o", "", "the program `FILE` to write")
	for n, k := range kinds {
		c.Flags().BoolVar(&wanted[n], k.flag, false, "also write "+k.says)
	}
	return c
}

var variable = regexp.MustCompile(`\$\{env:([A-Za-z_][A-Za-z0-9_]*)`)

// standIns returns the variables that the project file reads, and gives each that is not set here a
// value, so that the project can be read: where it runs they are known.
func standIns(a *cli.App, p *cli.ProjectFlags) (vars []string, err error) {
	file, err := p.File()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil //nolint:nilerr // reading it as a project says what is wrong
	}
	for _, m := range variable.FindAllSubmatch(text, -1) {
		name := string(m[1])
		if slices.Contains(vars, name) {
			continue
		}
		vars = append(vars, name)
		set := func(kv string) bool { return strings.HasPrefix(kv, name+"=") }
		if !slices.ContainsFunc(a.Environ, set) {
			a.Environ = append(slices.Clone(a.Environ), name+"=unknown-until-it-runs")
		}
	}
	return vars, nil
}

// compile builds the program, and has it check its project where it can run here. What is there
// already is replaced only by one that is well.
func compile(ctx context.Context, a *cli.App, cfg *project.Config, out string) error {
	fresh := out + ".new"
	defer func() { _ = os.Remove(fresh) }() // it is gone when all went well
	if err := gobuild.Program(ctx, cfg, fresh, a.Err); err != nil {
		return err
	}
	if foreign := target(); foreign != "" {
		fmt.Fprintf(a.Err, "openmas: it is for %s, and so was not asked whether its types fit the project\n", foreign)
	} else if err := check(ctx, a, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, out); err != nil {
		return fmt.Errorf("put the program in its place: %w", err)
	}
	info, err := os.Stat(out)
	if err != nil {
		return fmt.Errorf("look at the program: %w", err)
	}
	_, err = fmt.Fprintf(a.Out, "%s: %.1f MiB, %s\n", out, float64(info.Size())/(1<<20), "the project "+cfg.Project)
	return err
}

// target is the machine that the program is for, if it is another one than this.
func target() string {
	system, arch := os.Getenv("GOOS"), os.Getenv("GOARCH")
	if (system == "" || system == goruntime.GOOS) && (arch == "" || arch == goruntime.GOARCH) {
		return ""
	}
	if system == "" {
		system = goruntime.GOOS
	}
	if arch == "" {
		arch = goruntime.GOARCH
	}
	return system + "/" + arch
}

// checkTime is how long a program may take to check its project: what its main does before
// openmas.Main, mostly.
const checkTime = 30 * time.Second

// check has the program validate the project that it was given.
func check(ctx context.Context, a *cli.App, exe string) error {
	path, err := filepath.Abs(exe)
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, checkTime, fmt.Errorf("it has said nothing for %v: see what its main "+
		"does before openmas.Main", checkTime))
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "validate")
	cmd.Stderr, cmd.Env = a.Err, a.Environ
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return cli.Exit(exit.ExitCode()) // it has said why
	}
	if err != nil {
		return fmt.Errorf("check the project with the new program: %w", cmp.Or(context.Cause(ctx), err))
	}
	return nil
}

// write writes the files of the kinds that are wanted beside the program, and keeps those that are
// there.
func write(a *cli.App, d *description, out string, wanted []bool) error {
	var names []string
	for n, k := range kinds {
		for _, file := range k.files {
			if wanted[n] && !slices.Contains(names, file) {
				names = append(names, file)
			}
		}
	}
	var errs []error
	for _, file := range names {
		text, err := d.render(file)
		if err != nil {
			return err
		}
		path := filepath.Join(filepath.Dir(out), strings.ReplaceAll(file, "NAME", d.Name))
		said := "written"
		if err := create(path, text); errors.Is(err, fs.ErrExist) {
			said = "is there already, kept"
		} else if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, err := fmt.Fprintf(a.Out, "%s: %s\n", path, said); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

func create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
