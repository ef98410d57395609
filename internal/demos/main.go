// The program demos is `make demos`: it runs the commands that the README.md of each folder of
// examples shows, on real processes with real peers, and compares what they print. Its arguments
// are the demos to run, by the beginnings of their names (05 or 05-polyglot); none: all.
//
// What a demo needs beyond Go is installed once, in the cache folder of `make interop`. Where the
// machine cannot install it, the table names what is missing; with CI=true that is a failure.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

func main() { os.Exit(start()) }

func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, ".", os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "demos: %v\n", err)
		return 1
	}
	return 0
}

// run plays the demos of a checkout and prints the table.
func run(ctx context.Context, root string, names []string, out io.Writer) error {
	all, err := find(root, names)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "openmas-demos-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // what is left lies among temporary files
	exe := filepath.Join(work, "openmas")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", exe, "./cmd/openmas")
	build.Dir = root
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build openmas: %w\n%s", err, said)
	}
	table, failed := "", 0
	for _, name := range all {
		fmt.Fprintf(os.Stderr, "demos: %s ...\n", name)
		began := time.Now()
		p := &player{root: root, openmas: exe}
		err := p.play(ctx, name)
		verdict := "equal"
		var missing *toolbox.Missing
		switch {
		case errors.As(err, &missing):
			verdict = "missing: " + missing.Program
			fmt.Fprintf(os.Stderr, "demos: %s: %v\n", name, missing)
			if os.Getenv("CI") == "true" {
				failed++
			}
		case err != nil:
			verdict = "DIFFERENT"
			fmt.Fprintf(os.Stderr, "demos: %s: %v\n", name, err)
			failed++
		}
		table += fmt.Sprintf("%-20s %6.1f s  %s\n", name, time.Since(began).Seconds(), verdict)
		if ctx.Err() != nil {
			break
		}
	}
	if _, err := io.WriteString(out, "\n"+table); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d demos do not do what their README.md shows", failed, len(all))
	}
	return ctx.Err()
}

// play runs what the README of a demo shows. Standard output is compared: standard error has the
// log, whose times and order vary.
func (p *player) play(ctx context.Context, name string) error {
	dir := filepath.Join("examples", name)
	text, err := os.ReadFile(filepath.Join(p.root, dir, "README.md"))
	if err != nil {
		return err
	}
	steps := commands(string(text))
	if len(steps) == 0 {
		return errors.New("README.md shows no command: a block of the language console")
	}
	release, err := p.prepare(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	for _, s := range steps {
		if err := p.step(ctx, s); err != nil {
			return fmt.Errorf("%s:%d: %w", filepath.Join(dir, "README.md"), s.Line, err)
		}
	}
	return nil
}

// find lists the folders of examples that have a number, in their order.
func find(root string, names []string) (found []string, err error) {
	dirs, err := filepath.Glob(filepath.Join(root, "examples", "[0-9][0-9]-*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		name := filepath.Base(dir)
		wanted := len(names) == 0
		for _, n := range names {
			wanted = wanted || strings.HasPrefix(name, n)
		}
		if wanted {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no demo %q in examples", names)
	}
	return found, nil
}
