//go:build linux

// Chaos breaks running systems on purpose, and prints what their callers saw of it: one row for
// each fault. Systems, their children and their brokers are real processes, connections are real
// sockets. Every tool writes into a ledger what it did, and every client notes what it asked and
// what it was answered; the two are compared at the end of a row.
//
//	go run ./internal/chaos [-short] [-run REGEXP] [-n 10] [-json] [-slack 3] [-keep]
//
// It exits with 1 when a promise was broken: a call without an answer, with a wrong one, executed
// twice though that is not safe, acknowledged and not executed, or too late. With -soak it is the
// test over a long time instead.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() { os.Exit(start()) }

func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context) error {
	var o options
	only := flag.String("run", "", "only rows whose names match this regular expression")
	list := flag.Bool("list", false, "list the rows, and do nothing")
	flag.IntVar(&o.runs, "n", 1, "run so often, and print the worst figures")
	flag.BoolVar(&o.short, "short", false, "only rows that every change has to pass: they take a few seconds each")
	flag.BoolVar(&o.asJSON, "json", false, "print JSON")
	flag.BoolVar(&o.keep, "keep", false, "keep the folders with logs and ledgers")
	flag.Float64Var(&o.slack, "slack", 1, "times may be so many times as long as promised: for a machine that does other work")
	flag.DurationVar(&o.long, "soak", 0, "no faults, but load for so long: what grows?")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	var chosen []row
	for _, r := range rows() {
		if o.only.MatchString(r.name) && (r.short || !o.short) {
			chosen = append(chosen, r)
		}
	}
	if *list {
		for _, r := range chosen {
			if _, err := fmt.Fprintf(os.Stdout, "%-16s %s\n", r.name, r.fault); err != nil {
				return err
			}
		}
		return nil
	}
	if len(chosen) == 0 {
		return errors.New("no such row: -list has their names")
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	if o.long > 0 {
		return b.soak(ctx)
	}
	return b.all(ctx, chosen)
}
