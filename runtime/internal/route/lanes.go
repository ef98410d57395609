package route

import (
	"maps"
	"slices"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/resilience"
)

// Limit sets the limits of calls, and of the tools that have their own. It is for before the first
// call. changed gets each change of a breaker, quickly; nil: nobody does.
func (p *Pool) Limit(all Limits, tools map[string]Limits,
	changed func(i *Instance, tool string, now resilience.BreakerLook)) {
	p.common = newLane("", len(p.instances), all, newSlots(len(p.instances)))
	p.perTool, p.onBreaker = all.Breaker.Calls > 0, changed
	lanes := make(map[string]*lane, len(tools))
	for name, l := range tools {
		shared := p.common.slots
		if l.Apart {
			shared = newSlots(len(p.instances))
		}
		lanes[name] = newLane(name, len(p.instances), l, shared)
		p.perTool = true
	}
	p.lanes.Store(&lanes)
}

// laneOf returns the lane of a call.
func (p *Pool) laneOf(c *agent.Call) *lane { return p.laneOfTool(c).at(c.Depth) }

// laneOfTool returns the lane of the call's tool. A name that is no tool of the agent has none of
// its own: anybody can make up names.
func (p *Pool) laneOfTool(c *agent.Call) *lane {
	if !p.perTool || c.Op != agent.OpTool {
		return p.common
	}
	if l := p.byTool()[c.Name]; l != nil {
		return l
	}
	if _, known := p.Info().Tool(c.Name); !known {
		return p.common
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	lanes := p.byTool()
	if l := lanes[c.Name]; l != nil {
		return l
	}
	if len(lanes) >= maxLanes {
		return p.common
	}
	lanes = maps.Clone(lanes)
	lanes[c.Name] = newLane(c.Name, len(p.instances), p.common.Limits, p.common.slots)
	p.lanes.Store(&lanes)
	return lanes[c.Name]
}

func (p *Pool) byTool() map[string]*lane {
	if m := p.lanes.Load(); m != nil {
		return *m
	}
	return nil
}

// Dismiss refuses the calls that wait, and lets none wait from now on.
func (p *Pool) Dismiss() {
	p.dismissed.Store(true)
	p.changed()
}

// Waiting is how many calls wait.
func (p *Pool) Waiting() int {
	n := p.common.waits()
	for _, l := range p.byTool() {
		if l.slots != p.common.slots {
			n += l.waits()
		}
	}
	return n
}

// A ToolBreaker is a breaker that is not closed.
type ToolBreaker struct {
	Tool     string // empty: of all that is no tool
	Instance string
	resilience.BreakerLook
}

// Breakers are those that are not closed, by tool and instance.
func (p *Pool) Breakers() []ToolBreaker {
	var out []ToolBreaker
	add := func(l *lane) {
		for n, b := range l.breakers {
			if look := b.Look(); look.State != resilience.BreakerClosed {
				out = append(out, ToolBreaker{l.tool, p.instances[n].ID, look})
			}
		}
	}
	add(p.common)
	lanes := p.byTool()
	for _, name := range slices.Sorted(maps.Keys(lanes)) {
		add(lanes[name])
	}
	return out
}
