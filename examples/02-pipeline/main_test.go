package main

import (
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/agent/agenttest/wire"
)

func TestReport(t *testing.T) {
	wire.Each(t, func(t *testing.T, over agenttest.Option) {
		sys := agenttest.Run(t, agenttest.Agents{"editor": &Editor{}, "reader": Reader{},
			"counter": &Counter{Shortest: 3}, "measurer": Measurer{}, "writer": Writer{}}, agenttest.ByHand(), over)
		got, err := agent.Ask[string](sys.Ctx(), "editor.report", Text{"To be, or not to be: a bee."})
		if want := "8 words; most frequent: bee, not; longest: not"; err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	})
}

// A stage that fails ends the pipeline, and the error names it.
func TestTheWriterIsGone(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"editor": &Editor{}, "reader": Reader{}, "counter": &Counter{},
		"measurer": Measurer{}, "writer": agenttest.Script{"write": agent.Errorf(agent.CodeUnavailable, "on holiday")}},
		agenttest.ByHand())
	_, err := agent.Ask[string](sys.Ctx(), "editor.report", Text{"bee"})
	if agent.CodeOf(err) != agent.CodeUnavailable || !strings.Contains(err.Error(), "writer.write: ") {
		t.Error(err)
	}
}
