package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// ProjectFlags choose a project file and change it: -p, --profile and --set.
type ProjectFlags struct {
	path, profile string
	set           []string
}

// Register adds the flags to a command.
func (p *ProjectFlags) Register(c *cobra.Command) {
	standard := "openmas.yaml, then configs/project.yaml"
	if builtIn != "" {
		standard = "the one in this program"
	}
	c.Flags().StringVarP(&p.path, "project", "p", "", "the project `FILE` (default: "+standard+")")
	c.Flags().StringVar(&p.profile, "profile", "", "also read the profile `NAME`: openmas.NAME.yaml beside "+
		"openmas.yaml")
	c.Flags().StringArrayVar(&p.set, "set", nil, "set a key of the project file: `KEY=VALUE`, for example "+
		"agents.search.timeout=3s (repeatable)")
}

// Argument takes the project file from the arguments of a command that has it there too.
func (p *ProjectFlags) Argument(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if p.path != "" {
		return Usage(fmt.Errorf("the project file is given twice: %s and --project %s", args[0], p.path))
	}
	p.path = args[0]
	return nil
}

// Layers reports whether something is laid over the project file: --profile or --set.
func (p *ProjectFlags) Layers() bool { return p.profile != "" || len(p.set) > 0 }

// Set sets a key as --set does.
func (p *ProjectFlags) Set(keyValue string) { p.set = append(p.set, keyValue) }

// Given reports whether one of the flags is there.
func (p *ProjectFlags) Given() bool { return p.path != "" || p.Layers() }

// Args are the flags with which a command in any folder reads the project file of cfg as p does.
func (p *ProjectFlags) Args(cfg *project.Config) ([]string, error) {
	path, err := filepath.Abs(cfg.File)
	if err != nil {
		return nil, fmt.Errorf("find the working directory: %w", err)
	}
	return p.At(path), nil
}

// At are the flags with which a command reads the project file at path as p does.
func (p *ProjectFlags) At(path string) []string {
	args := []string{"--project", path}
	if p.profile != "" {
		args = append(args, "--profile", p.profile)
	}
	for _, set := range p.set {
		args = append(args, "--set", set)
	}
	return args
}

// Files finds the project file and, where --profile names one, the file of the profile.
func (p *ProjectFlags) Files() ([]string, error) {
	file, err := p.File()
	if err != nil || p.profile == "" {
		return []string{file}, err
	}
	ext := filepath.Ext(file)
	return []string{file, strings.TrimSuffix(file, ext) + "." + p.profile + ext}, nil
}

// File finds the project file.
func (p *ProjectFlags) File() (string, error) {
	if p.path != "" {
		return p.path, nil
	}
	if builtIn != "" {
		exe, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find this program, which has the project: %w", err)
		}
		return exe, nil
	}
	path, err := project.Find("")
	if err != nil {
		return "", Usage(err)
	}
	return path, nil
}

// builtIn is the project of a program that openmas build made, in base64: -ldflags
// -X=github.com/openmas/openmas/internal/cli.builtIn=... sets it.
var builtIn string

// BuiltInVar is the name that the linker knows builtIn by.
const BuiltInVar = "github.com/openmas/openmas/internal/cli.builtIn"

// options are how the project file is read. One that is built in has no folder: paths in it begin
// in the working directory.
func (a *App) options(p *ProjectFlags) (project.Options, error) {
	o := project.Options{Profile: p.profile, Environ: a.Environ, Set: p.set}
	if p.path != "" || builtIn == "" {
		return o, nil
	}
	var err error
	if o.Text, err = base64.StdEncoding.DecodeString(builtIn); err != nil {
		return o, fmt.Errorf("read the project that was built into this program: %w", err)
	}
	if p.profile != "" {
		return o, Usage(fmt.Errorf("--profile %s: the project is built into this program, without profiles; "+
			"--project reads a file", p.profile))
	}
	o.Dir = "."
	return o, nil
}

// ReadProject finds and reads the project file.
func (a *App) ReadProject(p *ProjectFlags) (*project.Config, error) {
	cfg, err := a.readProject(p)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// readProject is ReadProject, with what could be read of a project that is wrong.
func (a *App) readProject(p *ProjectFlags) (*project.Config, error) {
	path, err := p.File()
	if err != nil {
		return nil, err
	}
	opts, err := a.options(p)
	if err != nil {
		return nil, err
	}
	a.cfg, err = project.Load(path, opts)
	if err != nil {
		return a.cfg, Usage(err)
	}
	return a.cfg, nil
}

// Again reads a project file again, with the same flags. It is safe for concurrent use.
func (a *App) Again(p *ProjectFlags, file string) func() (*project.Config, error) {
	return func() (*project.Config, error) {
		opts, err := a.options(p)
		if err != nil {
			return nil, err
		}
		return project.Load(file, opts)
	}
}

// load reads the project file for a command that needs its agents. It may not return: see
// [Program].Become.
func (a *App) load(ctx context.Context, p *ProjectFlags) (*project.Config, error) {
	cfg, err := a.ReadProject(p)
	if err != nil {
		return nil, err
	}
	return cfg, a.become(ctx, cfg)
}

// become has the project's own program go on, where it has one and this is not it.
func (a *App) become(ctx context.Context, cfg *project.Config) error {
	if cfg.Package == "" || a.Become == nil {
		return nil
	}
	return a.Become(ctx, cfg, a.Err)
}

// NewRuntime checks the project against the program's types.
func (a *App) NewRuntime(ctx context.Context, cfg *project.Config, o runtime.Options) (*runtime.Runtime, error) {
	o.Version, o.Drivers, o.ServesChildren = a.Version, a.Drivers, a.isMain
	r, err := runtime.NewContext(ctx, cfg, a.Types, o)
	if err != nil {
		return nil, Usage(err)
	}
	return r, nil
}

// start runs r in the background and returns when it is ready, or has ended already: up says which.
// Its end comes on ran.
func start(ctx context.Context, r *runtime.Runtime) (ran <-chan error, up bool) {
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	select {
	case err := <-ended:
		ended <- err
		return ended, false
	case <-r.Ready():
		return ended, true
	}
}
