// LLM: an assistant that a model drives, with the tools of the other agents. The model streams,
// what it costs has a bound, and a tool that destroys something runs only if a person approves.
//
// Run it: openmas run --once examples/07-llm/openmas.yaml
package main

import (
	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
)

func types() agent.Types {
	return agent.Types{
		"assistant":  func() agent.Agent { return NewAssistant() },
		"notes":      func() agent.Agent { return &Notes{} },
		"calculator": func() agent.Agent { return Calculator{} },
		"visitor":    func() agent.Agent { return &Visitor{Approve: true} },
	}
}

func main() { openmas.Main(types()) }
