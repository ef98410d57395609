// The program crew is what `make chaos` breaks: the whole openmas command with an agent type whose
// tools write into the ledger. It is also a foreign MCP server (crew foreign) and a server of a
// NATS cluster (crew nats), each in a process of its own.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

func main() {
	if len(os.Args) > 1 {
		var be func(context.Context, []string) error
		switch os.Args[1] {
		case "foreign":
			be = foreign
		case "nats":
			be = broker
		}
		if be != nil {
			if err := be(context.Background(), os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "crew:", err)
				os.Exit(1)
			}
			return
		}
	}
	if err := probe(os.Getenv("CHAOS_PROBE")); err != nil {
		fmt.Fprintln(os.Stderr, "crew:", err)
		os.Exit(1)
	}
	openmas.Main(agent.Types{"tally": func() agent.Agent { return &Tally{} }}, openmas.Version("chaos"))
}
