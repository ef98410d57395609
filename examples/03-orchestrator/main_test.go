package main

import (
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

// A worker that is gone costs nothing: the others do its ranges.
func TestPrimes(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"foreman": &Foreman{Step: 100}, "ann": &Worker{}, "bob": &Worker{},
		"gone": agenttest.Script{"count": agent.Refusedf(agent.CodeUnavailable, "it was killed")}}, agenttest.ByHand())
	total, err := agent.Ask[Total](sys.Ctx(), "foreman.primes", Job{Below: 10_000})
	if err != nil || total.Primes != 1229 || total.Ranges != 100 {
		t.Errorf("%+v, %v", total, err)
	}
}
