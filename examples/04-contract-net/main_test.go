package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/agent/pattern"
)

// Each job is done once, whoever sleeps, is too weak, or dies.
func TestAuctioneer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dora := &Carrier{Rate: 10}
		dying := agenttest.Script{
			"offer": agenttest.Func(dora.offer),
			"carry": agenttest.Func(func(context.Context, pattern.Award[Job, Offer]) (string, error) {
				return "", agent.Errorf(agent.CodeOutcomeUnknown, "it died")
			}),
		}
		sys := agenttest.Run(t, agenttest.Agents{
			"auctioneer": &Auctioneer{Jobs: 3, Deadline: 2 * time.Second}, "ann": &Carrier{Rate: 30},
			"carla": &Carrier{Rate: 12, Strong: 250}, "dora": dying, "emil": &Carrier{Rate: 5, Thinks: 10 * time.Minute},
		})
		if err := sys.Wait("auctioneer"); err != nil {
			t.Fatal(err)
		}
		const want = `job 1, a piano of 100 kg
  ann      bids 30
  carla    bids 12  carries a piano
  dora     bids 10  got it first, and failed: outcome_unknown
  emil     does not bid: deadline_exceeded
job 2, ten chairs of 200 kg
  ann      bids 60
  carla    bids 24  carries ten chairs
  dora     bids 20  got it first, and failed: outcome_unknown
  emil     does not bid: deadline_exceeded
job 3, a statue of 300 kg
  ann      bids 90  carries a statue
  dora     bids 30  got it first, and failed: outcome_unknown
  carla    does not bid: tool_failed
  emil     does not bid: deadline_exceeded
`
		if got := sys.Output(); got != want {
			t.Errorf("%s", got)
		}
		jobs := map[int]int{}
		for _, name := range []string{"ann", "carla"} {
			for _, a := range agenttest.Inputs[pattern.Award[Job, Offer]](sys, name+".carry") {
				jobs[a.Task.Number]++
			}
		}
		if len(jobs) != 3 || jobs[1] != 1 || jobs[2] != 1 || jobs[3] != 1 {
			t.Error(jobs)
		}
		if n := len(agenttest.Inputs[pattern.Award[Job, Offer]](sys, "ann.missed")); n != 2 {
			t.Errorf("ann missed %d jobs", n)
		}
	})
}
