package pattern_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/agent/pattern"
)

type bid struct {
	Price int `json:"price"`
}

type award = pattern.Award[number, bid]

// auction is a contract net for the lowest price.
func auction() pattern.ContractNet[number, bid, string] {
	return pattern.ContractNet[number, bid, string]{Propose: "propose", Perform: "perform", Reject: "reject",
		Deadline: 2 * time.Second, Better: func(a, b bid) bool { return a.Price < b.Price }}
}

// bidder offers to work for a price.
func bidder(name string, l, rejected *ledger, price int, think time.Duration, perform agent.Tool) agenttest.Script {
	s := agenttest.Script{
		"propose": agent.NewTool("propose", "", func(ctx context.Context, _ number) (bid, error) {
			select {
			case <-time.After(think):
				return bid{price}, nil
			case <-ctx.Done():
				return bid{}, ctx.Err()
			}
		}),
		"perform": perform,
		"reject": agent.NewTool("reject", "", func(_ context.Context, a award) (string, error) {
			rejected.add(a.Task.N, name)
			return "", nil
		}),
	}
	if perform.Info().Name == "" {
		s["perform"] = agent.NewTool("perform", "", func(_ context.Context, a award) (string, error) {
			if a.Winner != name || a.Bid.Price != price {
				return "", agent.Errorf(agent.CodeInternal, "%s got the award %+v", name, a)
			}
			l.add(a.Task.N, name)
			return "done by " + name, nil
		})
	}
	return s
}

// fails performs nothing.
func fails(err error, opts ...agent.ToolOption) agent.Tool {
	return agent.NewTool("perform", "", func(context.Context, award) (string, error) { return "", err }, opts...)
}

// Fifty are asked, of which five are silent and five late. The best one dies, and the next one does
// the task, once.
func TestContractNet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l, rejected ledger
		agents := agenttest.Agents{"bystander": agenttest.Script{"propose": bid{1}}}
		for n := range 50 {
			name, think, perform := fmt.Sprintf("bidder%02d", n), time.Duration(n)*10*time.Millisecond, agent.Tool{}
			switch {
			case n < 5:
				think = time.Hour // silent
			case n < 10:
				think = 2*time.Second + 1 // late
			case n == 10:
				perform = fails(agent.Errorf(agent.CodeOutcomeUnknown, "it was killed"), agent.Idempotent())
			}
			agents[name] = bidder(name, &l, &rejected, 100+n, think, perform)
		}
		sys := agenttest.Run(t, agents)
		began := time.Now()
		c, err := auction().Step()(sys.Ctx(), number{7})
		if err != nil || c.Winner != "bidder11" || c.Bid.Price != 111 || c.Out != "done by bidder11" {
			t.Fatalf("%+v, %v", c, err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(c.Bids) != 40 || len(c.Refused) != 10 || c.Refused["bidder03"].Code != agent.CodeDeadlineExceeded ||
			len(c.Failed) != 1 || c.Failed["bidder10"].Code != agent.CodeOutcomeUnknown {
			t.Errorf("%d bids, refused: %v, failed: %v", len(c.Bids), c.Refused, c.Failed)
		}
		if len(l.done[7]) != 1 || len(rejected.done[7]) != 38 {
			t.Errorf("done by %v, %d rejected", l.done[7], len(rejected.done[7]))
		}
	})
}

func TestContractNetThatFails(t *testing.T) {
	var l, rejected ledger
	good := func(name string, price int) agenttest.Script {
		return bidder(name, &l, &rejected, price, 0, agent.Tool{})
	}
	bad := func(name string, err error, opts ...agent.ToolOption) agenttest.Script {
		return bidder(name, &l, &rejected, 1, 0, fails(err, opts...))
	}
	unknown := agent.Errorf(agent.CodeOutcomeUnknown, "it was killed")
	for name, tt := range map[string]struct {
		agents agenttest.Agents
		again  func(string, error) bool
		code   agent.Code
		text   string
		winner string
	}{
		"nobody can": {agents: agenttest.Agents{"x": agenttest.Script{"propose": bid{1}}}, code: agent.CodeUnavailable,
			text: "no agent offers"},
		"nobody wants": {agents: agenttest.Agents{"x": agenttest.Script{"propose": agent.NotFound("time"),
			"perform": "never"}}, code: agent.CodeUnavailable, text: "none of 1 agents bid; x: not_found: time"},
		"it may have been done": {agents: agenttest.Agents{"a": bad("a", unknown), "b": good("b", 2)},
			code: agent.CodeOutcomeUnknown, text: "a got the task: "},
		"it may be done twice": {agents: agenttest.Agents{"a": bad("a", unknown, agent.Idempotent()),
			"b": good("b", 2)}, winner: "b"},
		"its owner knows better": {agents: agenttest.Agents{"a": bad("a", unknown), "b": good("b", 2)},
			again:  func(winner string, err error) bool { return winner == "a" && agent.CodeOf(err) == unknown.Code },
			winner: "b"},
		"the task is wrong": {agents: agenttest.Agents{"a": bad("a", agent.NotFound("that")), "b": good("b", 2)},
			code: agent.CodeNotFound, text: "a got the task: "},
		"all of them fail": {agents: agenttest.Agents{"a": bad("a", unknown, agent.Idempotent()),
			"b": bad("b", unknown, agent.Idempotent())}, code: agent.CodeOutcomeUnknown, text: "b got the task: "},
		"equal bids": {agents: agenttest.Agents{"b": good("b", 2), "c": good("c", 2)}, winner: "b"},
	} {
		sys := agenttest.Run(t, tt.agents)
		n := auction()
		n.Again = tt.again
		c, err := n.Step()(sys.Ctx(), number{1})
		if agent.CodeOf(err) != tt.code || err != nil && !strings.Contains(err.Error(), tt.text) ||
			c.Winner != tt.winner {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// A bidder that does not look at its context is late like any other.
func TestALateBidIsNoBid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l, rejected ledger
		late := bidder("late", &l, &rejected, 1, 0, agent.Tool{})
		late["propose"] = agent.NewTool("propose", "", func(context.Context, number) (bid, error) {
			time.Sleep(3 * time.Second)
			return bid{1}, nil
		})
		sys := agenttest.Run(t, agenttest.Agents{"late": late, "b": bidder("b", &l, &rejected, 2, 0, agent.Tool{})})
		c, err := auction().Step()(sys.Ctx(), number{1})
		if err != nil || c.Winner != "b" || c.Refused["late"] == nil ||
			c.Refused["late"].Code != agent.CodeDeadlineExceeded {
			t.Errorf("%+v, %v", c, err)
		}
	})
}
