package scaffold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/cli"
)

// How long the go command may take to look up modules.
const (
	tidyTime = 20 * time.Second
	getTime  = 5 * time.Minute
)

// A goMod is what go mod edit -json says of a go.mod.
type goMod struct {
	Module  struct{ Path string }
	Go      string
	Require []struct{ Path, Version string }
}

func (m *goMod) has(module string) bool {
	if m.Module.Path == module {
		return true
	}
	for _, r := range m.Require {
		if r.Path == module {
			return true
		}
	}
	return false
}

// module has the project's module require openmas: its own one, or the one around its folder if
// that does already.
func (p *plan) module(ctx context.Context, a *cli.App, from origin) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("the go command is not in PATH, so that there is no go.mod yet: install Go, and say " +
			"openmas init . in this folder")
	}
	around, err := goCommand(ctx, p.dir, "env", "GOMOD")
	if err != nil {
		return err
	}
	file := strings.TrimSpace(string(around))
	known := false
	if file != "" && file != os.DevNull {
		m, err := readMod(ctx, filepath.Dir(file))
		if err != nil {
			return err
		}
		known = m.has(openmasModule)
	}
	own := exists(filepath.Join(p.dir, "go.mod"))
	switch {
	case known && own:
		p.say(a.Out, "go.mod", "kept")
		return nil
	case known:
		fmt.Fprintf(a.Out, "%-32s kept: it is the module around this folder\n", file)
		return nil
	case from.clone != "" && !own:
		err = p.seed(ctx, from.clone)
	case from.clone != "":
		err = p.replace(ctx, from.clone)
	default:
		err = p.get(ctx, own, from.version)
	}
	if err != nil {
		return err
	}
	what := map[bool]string{false: "written", true: "kept, and openmas added"}[own]
	p.say(a.Out, "go.mod", what)
	if from.clone != "" {
		fmt.Fprintf(a.Err, "openmas: go.mod takes openmas from %s, where this command was built\n", from.clone)
	}
	if work, err := goCommand(ctx, p.dir, "env", "GOWORK"); err == nil && len(bytes.TrimSpace(work)) > 0 &&
		string(bytes.TrimSpace(work)) != "off" {
		fmt.Fprintf(a.Err, "openmas: there is a workspace, %s: go work use %s\n", bytes.TrimSpace(work), p.dir)
	}
	return nil
}

// seed writes a go.mod that takes openmas from a clone. What that requires comes from its go.mod
// and go.sum, so that nothing has to be looked up. The go command tidies up, if it can.
func (p *plan) seed(ctx context.Context, clone string) error {
	m, err := readMod(ctx, clone)
	if err != nil {
		return err
	}
	sum, err := os.ReadFile(filepath.Join(clone, "go.sum"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the go.sum of openmas: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "module %s\n\ngo %s\n\nrequire %s v0.0.0\n\nreplace %s => %s\n\nrequire (\n", p.project, m.Go,
		openmasModule, openmasModule, quoted(clone))
	for _, r := range m.Require {
		fmt.Fprintf(&b, "\t%s %s // indirect\n", r.Path, r.Version)
	}
	b.WriteString(")\n")
	for name, text := range map[string]string{"go.mod": b.String(), "go.sum": string(sum)} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, tidyTime)
	defer cancel()
	_, _ = goCommand(ctx, p.dir, "mod", "tidy") // without it there are more lines than needed
	return nil
}

// replace adds openmas from a clone to a go.mod of the user's.
func (p *plan) replace(ctx context.Context, clone string) error {
	if _, err := goCommand(ctx, p.dir, "mod", "edit", "-require="+openmasModule+"@v0.0.0",
		"-replace="+openmasModule+"="+clone); err != nil {
		return err
	}
	if err := addSums(filepath.Join(p.dir, "go.sum"), filepath.Join(clone, "go.sum")); err != nil {
		return err
	}
	tidy, cancel := context.WithTimeout(ctx, tidyTime)
	defer cancel()
	if _, err := goCommand(tidy, p.dir, "mod", "tidy"); err == nil {
		return nil
	}
	_, err := goCommand(ctx, p.dir, "list", "-mod=mod", "-deps", "-test", "./...") // does not look at others' tests
	return err
}

// addSums appends the checksums of another module's go.sum to file. The go command accepts lines
// that are there twice.
func addSums(file, other string) (err error) {
	sums, err := os.ReadFile(other)
	if err != nil {
		return fmt.Errorf("read the go.sum of openmas: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("add to go.sum: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(sums)
	return err
}

// get adds a version that is published.
func (p *plan) get(ctx context.Context, own bool, version string) error {
	ctx, cancel := context.WithTimeout(ctx, getTime)
	defer cancel()
	if !own {
		if _, err := goCommand(ctx, p.dir, "mod", "init", p.project); err != nil {
			return err
		}
	}
	if _, err := goCommand(ctx, p.dir, "get", openmasModule+"@"+version); err != nil {
		return fmt.Errorf("%w\nIf this version is not published, name a clone with --replace FOLDER", err)
	}
	_, err := goCommand(ctx, p.dir, "mod", "tidy")
	return err
}

func readMod(ctx context.Context, dir string) (*goMod, error) {
	out, err := goCommand(ctx, dir, "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var m goMod
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "go.mod"), err)
	}
	return &m, nil
}

// quoted is a path as a go.mod has it.
func quoted(path string) string {
	if strings.ContainsAny(path, " \t\"'`") {
		return `"` + strings.ReplaceAll(path, `"`, `\"`) + `"`
	}
	return path
}

// goCommand runs the go command in a folder, by itself: no workspace, no flags of the user's that
// forbid changes. Its error has what the command printed.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, os.Environ()
	if args[0] != "env" {
		cmd.Env = append(cmd.Env, "GOWORK=off")
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(errOut.Bytes()))
	}
	return out.Bytes(), nil
}
