package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime"
)

// becameVar marks the environment of a program that this one has become, so that a package that is the openmas command itself does not build itself for ever.
const becameVar = "OPENMAS_BECAME"

// become builds the package that the project names and runs it in place of this program, with the same arguments. It returns only if that fails.
func become(ctx context.Context, cfg *runtime.Config, errOut io.Writer) error {
	dir := cfg.Path(cfg.Package)
	if os.Getenv(becameVar) == dir {
		return fmt.Errorf("package: %s is a main package that does not call openmas.Main with types of its own", cfg.Package)
	}
	if s, err := os.Stat(dir); err != nil || !s.IsDir() {
		return cfg.Errorf([]string{"package"}, "package: there is no folder %s", dir)
	}
	exe, err := build(ctx, dir, cfg.Package, errOut)
	if err != nil {
		return err
	}
	return replace(ctx, exe, append(os.Environ(), becameVar+"="+dir))
}

// build makes the package's program in the user's cache folder. Go's own build cache makes it quick when nothing has changed.
func build(ctx context.Context, dir, name string, errOut io.Writer) (string, error) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("build %s: the go command is not in PATH, and the project's agents are Go: install Go, or run the project's own program instead of openmas", name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("build %s: find the cache folder: %w", name, err)
	}
	exe := filepath.Join(cache, "openmas", "bin", fmt.Sprintf("%x", sha256.Sum256([]byte(dir)))[:16], filepath.Base(dir))
	if goruntime.GOOS == "windows" {
		exe += ".exe"
	}
	fmt.Fprintf(errOut, "building %s\n", name)
	cmd := exec.CommandContext(ctx, goTool, "build", "-o", exe, ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, errOut, errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", cli.Exit(1) // the compiler has said why
	}
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return exe, nil
}
