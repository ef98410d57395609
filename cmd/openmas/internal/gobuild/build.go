// Package gobuild builds the Go package that a project names, and becomes it.
package gobuild

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/runtime/project"
)

// becameVar marks the environment of a program that this one has become, so that a package that is
// the openmas command itself does not build itself for ever.
const becameVar = "OPENMAS_BECAME"

// Become builds the package that the project names and runs it in place of this program, with the
// same arguments. It returns only if that fails.
func Become(ctx context.Context, cfg *project.Config, errOut io.Writer) error {
	dir, name, err := folder(cfg)
	if err != nil {
		return err
	}
	if os.Getenv(becameVar) == dir {
		return fmt.Errorf("package: %s is a main package that does not call openmas.Main with types of its own",
			cfg.Package)
	}
	exe, use, err := build(ctx, dir, name, errOut)
	if err != nil {
		return err
	}
	defer use.Close()
	return replace(ctx, exe, use, became(dir))
}

// became is the environment of the program of the package in dir.
func became(dir string) []string { return append(os.Environ(), becameVar+"="+dir) }

// folder is the package's, and what to call it.
func folder(cfg *project.Config) (dir, name string, err error) {
	dir, name = cfg.Path(cfg.Package), cfg.Package
	if s, err := os.Stat(dir); err != nil || !s.IsDir() {
		return "", "", cfg.Errorf([]string{"package"}, "package: there is no folder %s", dir)
	}
	if what, hint := notMain(dir); what != "" {
		e := cfg.Errorf([]string{"package"}, "package: %s %s", cfg.Package, what)
		e.Hint = hint
		return "", "", e
	}
	if strings.Trim(filepath.ToSlash(name), "./") == "" { // . says nothing to a reader
		name = dir
	}
	return dir, name, nil
}

// notMain says why a folder is no main package, as far as its package clauses tell; the compiler
// knows the rest.
func notMain(dir string) (what, hint string) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", ""
	}
	other := ""
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly)
		switch {
		case strings.HasSuffix(name, "_test.go"):
		case err != nil || f.Name.Name == "main":
			return "", ""
		default:
			other = f.Name.Name
		}
	}
	if other == "" {
		return "has no Go files", "name the folder of the main package with the agents' types"
	}
	return "is package " + other + ", and not a main package", "name the folder of the one that calls openmas.Main"
}

// build makes the package's program in the user's cache folder, where it stays at least as long as
// use is open. Go's own build cache makes it quick when nothing has changed.
func build(ctx context.Context, dir, name string, errOut io.Writer) (exe string, use *os.File, err error) {
	goTool, err := goCommand(name)
	if err != nil {
		return "", nil, err
	}
	programs, err := programFolder(name)
	if err != nil {
		return "", nil, err
	}
	slot := filepath.Join(programs, slotOf(dir))
	if use, err = hold(slot); err != nil {
		return "", nil, fmt.Errorf("build %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			use.Close()
		}
	}()
	exe = filepath.Join(slot, filepath.Base(dir))
	if goruntime.GOOS == "windows" {
		exe += ".exe"
	}
	before, _ := os.Stat(exe) // nil: there is none yet
	if err := compile(ctx, goTool, dir, name, errOut, nil, "-o", exe); err != nil {
		return "", nil, err
	}
	if isNew(exe, before) {
		if err := hangs(ctx, exe, name, became(dir), mainPatience, errOut); err != nil {
			return "", nil, errors.Join(err, os.Remove(exe)) // the next command asks again
		}
	}
	return exe, use, prune(programs, time.Now())
}

// programFolder is where the programs of all packages are.
func programFolder(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("build %s: find the cache folder: %w", name, err)
	}
	return filepath.Join(cache, "openmas", "bin"), nil
}

// slotOf names the folder for the program of a package.
func slotOf(dir string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:16] }

// noModule says what to do about a package of agents that cannot be built because it is in no
// module, or in one that does not require openmas.
func noModule(ctx context.Context, dir string, errOut io.Writer) {
	if !imports(dir, openmasModule) {
		return
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOMOD")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return
	}
	file, where := strings.TrimSpace(string(out)), "there is no go.mod"
	if file != "" && file != os.DevNull {
		text, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(text), openmasModule) {
			return
		}
		where = file + " does not require openmas"
	}
	fmt.Fprintf(errOut, "openmas: %s: openmas init . in the project's folder adds what is missing\n", where)
}

const openmasModule = "github.com/openmas/openmas"

// imports reports whether a Go file in the folder imports the package.
func imports(dir, path string) bool {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	return err == nil && slices.ContainsFunc(names, func(name string) bool {
		text, err := os.ReadFile(name)
		return err == nil && strings.Contains(string(text), strconv.Quote(path))
	})
}

// HasGo is why no package can be built that cfg names: there is no go command. nil: there is one,
// or none is needed.
func HasGo(cfg *project.Config) error {
	if cfg.Package == "" {
		return nil
	}
	_, err := goCommand(cfg.Package)
	return err
}

func goCommand(name string) (string, error) {
	path, err := exec.LookPath("go")
	if err == nil {
		return path, nil
	}
	remedy := "install Go"
	for _, root := range []string{os.Getenv("GOROOT"), "/usr/local/go",
		filepath.Join(os.Getenv("PROGRAMFILES"), "Go")} {
		dir := filepath.Join(root, "bin")
		if _, err := exec.LookPath(filepath.Join(dir, "go")); err == nil && filepath.IsAbs(root) {
			remedy = "add " + dir + " to PATH"
			break
		}
	}
	return "", fmt.Errorf("build %s: the go command is not in PATH, and the project's agents are Go: %s, or run the "+
		"project's own program instead of openmas", name, remedy)
}

// compile runs go build in dir.
func compile(ctx context.Context, goTool, dir, name string, errOut io.Writer, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, goTool, append(append([]string{"build"}, args...), ".")...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, errOut, errOut
	cmd.Env = append(os.Environ(), env...)
	err := announced(errOut, name, cmd.Run)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		noModule(ctx, dir, errOut)
		return cli.Exit(1) // the compiler has said why
	}
	if err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	return nil
}

// quiet is how long a build may take before it is talked about: longer than one that has nothing to
// do.
const quiet = time.Second

// announced runs a build. Once it has taken a while it says so, to people and to whoever waits for
// the program's first answer, and when it is done.
func announced(errOut io.Writer, name string, build func() error) error {
	began, done := time.Now(), make(chan error, 1)
	go func() { done <- build() }()
	select {
	case err := <-done:
		return err
	case <-time.After(quiet):
	}
	fmt.Fprintf(errOut, "%s%s\n", mcp.Building, name)
	err := <-done
	if err == nil {
		fmt.Fprintf(errOut, "%s%s in %v\n", mcp.Built, name, time.Since(began).Round(100*time.Millisecond))
	}
	return err
}
