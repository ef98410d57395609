// Cluster: one project, hosted by three processes that share a broker. One of them is killed while
// it works, and no call is lost.
//
// go run ./examples/09-cluster starts the three of them and kills one: see play.go. By hand, in
// three terminals:
//
//	openmas run examples/09-cluster/openmas.yaml --agents foreman --once
//	openmas run examples/09-cluster/openmas.yaml --agents worker      (twice)
package main

import (
	"os"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

func main() {
	if len(os.Args) == 1 {
		os.Exit(play())
	}
	openmas.Main(agent.Types{
		"foreman": func() agent.Agent { return &Foreman{Calls: 40} },
		"worker":  func() agent.Agent { return &Worker{} },
	})
}
