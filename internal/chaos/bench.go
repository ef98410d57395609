//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

// options are what the command line says.
type options struct {
	only   *regexp.Regexp
	runs   int
	short  bool
	asJSON bool
	keep   bool
	slack  float64
	long   time.Duration
}

// A bench is what all rows share: the program that is broken, and a folder.
type bench struct {
	options
	crew string // the program
	dir  string
}

// newBench builds the program.
func newBench(ctx context.Context, o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, crew: filepath.Join(dir, "crew")}
	fmt.Fprintln(os.Stderr, "chaos: building the program")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.crew, "./internal/chaos/crew")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		b.close()
		return nil, fmt.Errorf("build the program: %w", err)
	}
	return b, nil
}

func (b *bench) close() {
	if b.keep {
		_ = os.Remove(b.crew) // large; only an empty folder can be removed then
		_ = os.Remove(b.dir)
		return
	}
	_ = os.RemoveAll(b.dir) // it lies among temporary files
}

// A row is a fault and what to do about it.
type row struct {
	name, fault string
	short       bool // it belongs to the short form
	run         func(ctx context.Context, t *trial) error
}

// A trial is one run of a row.
type trial struct {
	*bench
	dir    string
	ledger string
	figures
	undo []func()
	load *load // nil before it begins
}

// rowTime bounds one row: nothing may hang.
const rowTime = 4 * time.Minute

// try runs a row and compares what callers saw with the ledger.
func (b *bench) try(ctx context.Context, r row) *figures {
	ctx, cancel := context.WithTimeout(ctx, rowTime)
	defer cancel()
	t := &trial{bench: b}
	dir, err := os.MkdirTemp(b.dir, r.name+"-")
	if err == nil {
		t.dir, t.ledger = dir, filepath.Join(dir, "ledger")
		err = r.run(ctx, t)
	}
	if err != nil {
		t.broken("it could not be tried: %v", err)
	}
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
	if b.keep {
		fmt.Fprintln(os.Stderr, "chaos: kept:", t.dir)
	} else {
		_ = os.RemoveAll(t.dir) // with the bench's folder otherwise
	}
	return &t.figures
}

// after has something undone at the end of the trial, the last one first.
func (t *trial) after(undo func()) { t.undo = append(t.undo, undo) }

// broken notes a promise that was not kept.
func (t *trial) broken(format string, args ...any) {
	t.Broken = append(t.Broken, fmt.Sprintf(format, args...))
}

// within notes a promise that something takes promised at most.
func (t *trial) within(what string, got, promised time.Duration) {
	if float64(got) > float64(promised)*t.slack {
		t.broken("%s after %v, promised are %v", what, got.Round(time.Millisecond), promised)
	}
}

// pause waits.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// eventually looks every 10 ms until ok, for limit at most, and returns how long it took.
func eventually(ctx context.Context, limit time.Duration, ok func() bool) (time.Duration, bool) {
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit || ctx.Err() != nil {
			return time.Since(began), false
		}
		pause(ctx, 10*time.Millisecond)
	}
	return time.Since(began), true
}

// all runs the rows, as often as wanted, and prints the table.
func (b *bench) all(ctx context.Context, chosen []row) error {
	var table []*report
	for _, r := range chosen {
		table = append(table, &report{Name: r.name, Fault: r.fault})
	}
	for n := range b.options.runs {
		for i, r := range chosen {
			if ctx.Err() != nil {
				break
			}
			began := time.Now()
			f := b.try(ctx, r)
			verdict := "ok"
			if len(f.Broken) > 0 {
				verdict = "BROKEN: " + f.Broken[0]
			}
			fmt.Fprintf(os.Stderr, "chaos: run %d of %d: %-16s %5.1fs  %s\n", n+1, b.options.runs, r.name,
				time.Since(began).Seconds(), verdict)
			table[i].add(f)
		}
	}
	if err := show(os.Stdout, table, b.options.asJSON); err != nil {
		return err
	}
	for _, r := range table {
		if r.Green < b.options.runs {
			return errors.New("promises were broken")
		}
	}
	return ctx.Err()
}
