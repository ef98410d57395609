// Auction: an auctioneer gives jobs to whoever does them for least (the contract net). Some bidders
// sleep, one is late, and one dies when it gets a job; each job is done once all the same.
//
// Run it: openmas run --once examples/04-contract-net/openmas.yaml
package main

import (
	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

func main() {
	openmas.Main(agent.Types{
		"auctioneer": func() agent.Agent { return &Auctioneer{Jobs: 3} },
		"carrier":    func() agent.Agent { return &Carrier{} },
	})
}
