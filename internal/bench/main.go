// Bench compares MCP in Go: this module's servers and clients, mcp-go and the stock official SDK,
// on stdio, HTTP+SSE and streamable HTTP, with 1 and with 64 callers on one session. Every server
// is a process of its own. All variants run in turn, round after round, and what counts is the
// median of the rounds and of the ratios within a round: so a machine with other work to do is
// unfair to all alike.
//
//	go run . [-quick] [-run stdio/] [-rounds 5] [-time 500ms]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// protocol is what all clients ask for.
const protocol = "2025-11-25"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	serve := flag.String("serve", "", "be a server: ours, mcpgo, gosdk or floor")
	profile := flag.String("profile", "", "write a CPU profile of this process")
	listen := flag.Bool("listen", false, "with -serve: over HTTP, on a port that is printed, instead of stdio")
	quick := flag.Bool("quick", false, "less than a minute, and less exact")
	rounds := flag.Int("rounds", 7, "rounds")
	span := flag.Duration("time", 500*time.Millisecond, "time of one measurement")
	only := flag.String("run", "", "only variants whose names begin with one of these, separated by commas")
	callers := flag.Int("callers", 0, "only with so many callers")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if *serve != "" {
		return beServer(*serve, *listen)
	}
	if *quick {
		*rounds, *span = 3, 150*time.Millisecond
	}
	var servers fleet
	defer servers.stop()
	all, err := variants(&servers)
	if err != nil {
		return err
	}
	if *only != "" {
		all = slices.DeleteFunc(all, func(v variant) bool {
			return !slices.ContainsFunc(strings.Split(*only, ","), func(p string) bool {
				return strings.HasPrefix(v.name, p)
			})
		})
	}
	if len(all) == 0 {
		return errors.New("no such variant")
	}
	r := newReport(all)
	for _, n := range []int{1, 64} {
		if *callers != 0 && *callers != n {
			continue
		}
		for range *rounds {
			for _, v := range all {
				res, err := v.measure(context.Background(), n, *span)
				if err != nil {
					return fmt.Errorf("%s with %d callers: %w", v.name, n, err)
				}
				r.add(v.name, n, res)
			}
		}
		r.table(os.Stdout, n)
	}
	r.targets(os.Stdout)
	return nil
}
