// Orchestrator: a foreman splits a big job into small ones and gives them to whoever can do them.
// It knows no worker by name: every agent that has the tool "count" is one, wherever it runs.
//
// Run it: openmas run --once examples/03-orchestrator/openmas.yaml
package main

import (
	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

func main() {
	openmas.Main(agent.Types{
		"foreman": func() agent.Agent { return &Foreman{Below: 1_000_000, Step: 10_000} },
		"worker":  func() agent.Agent { return &Worker{} },
	})
}
