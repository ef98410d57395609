package main

import (
	"context"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

// Gone is a worker that was killed. Its tool may be called twice, as that of the others.
type Gone struct{}

func (Gone) Capabilities() agent.Capabilities {
	count := func(context.Context, Range) (Found, error) {
		return Found{}, agent.Errorf(agent.CodeUnavailable, "it was killed")
	}
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("count", "Fail.", count, agent.ReadOnly())}}
}

// A worker that is gone costs nothing: the others do its ranges.
func TestPrimes(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"foreman": &Foreman{Step: 100}, "ann": &Worker{}, "bob": &Worker{},
		"gone": Gone{}}, agenttest.ByHand())
	total, err := agent.Ask[Total](sys.Ctx(), "foreman.primes", Job{Below: 10_000})
	if err != nil || total.Primes != 1229 || total.Ranges != 100 {
		t.Errorf("%+v, %v", total, err)
	}
}
