// Review is a crew of agents that reviews a Go source tree: where is the code that is complicated
// and changes often?
//
//	collector   finds the files
//	complexity  measures their functions
//	linter      finds what a reviewer would remark on
//	historian   reads from git how often and when they changed
//	editor      asks the others, ranks the hot spots, writes the report
//	monkey      kills a process of another agent (only with --profile chaos)
//
// Run it with openmas run configs/project.yaml, which says how each of them is reached.
package main

import (
	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

// Types are the agents of the crew.
func Types() agent.Types {
	return agent.Types{
		"collector":  func() agent.Agent { return &Collector{} },
		"complexity": func() agent.Agent { return &Complexity{} },
		"linter":     func() agent.Agent { return &Linter{LongFunction: 80} },
		"historian":  func() agent.Agent { return &Historian{MaxCommits: 20_000} },
		"editor":     func() agent.Agent { return &Editor{Root: ".", Top: 10, AtOnce: 8} },
		"monkey":     func() agent.Agent { return &Monkey{} },
	}
}

func main() { openmas.Main(Types()) }
