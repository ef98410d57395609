// Pipeline: an editor sends a text through other agents, one stage after the other. Two of the
// stages do not need each other, so they run at once.
//
// Run it: openmas run --once examples/02-pipeline/openmas.yaml
package main

import (
	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

func main() {
	openmas.Main(agent.Types{
		"editor":   func() agent.Agent { return &Editor{} },
		"reader":   func() agent.Agent { return Reader{} },
		"counter":  func() agent.Agent { return &Counter{Shortest: 1} },
		"measurer": func() agent.Agent { return Measurer{} },
		"writer":   func() agent.Agent { return Writer{} },
	})
}
