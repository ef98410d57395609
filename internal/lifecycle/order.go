package lifecycle

import (
	"cmp"
	"maps"
	"slices"
)

// A Place is where an agent stands in the order of start.
type Place struct {
	Name string
	// Level is 0 for an agent that requires none of the others, else one more than the highest of
	// those. Agents of one level need not wait for each other.
	Level int
}

// StartOrder puts each agent behind those that it requires, by level and name. requires has every
// agent, with the names of the agents that it requires; names that are no key are somebody else's
// to start.
//
// Agents that require each other in a circle cannot all come after the others: they share a level,
// and circles lists them, by name.
func StartOrder(requires map[string][]string) (order []Place, circles [][]string) {
	s := sorter{requires: requires, state: make(map[string]*visit, len(requires))}
	for _, name := range slices.Sorted(maps.Keys(requires)) {
		if s.state[name] == nil {
			s.visit(name)
		}
	}
	slices.SortFunc(s.order, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name))
	})
	return s.order, s.circles
}

// A sorter finds strongly connected components as Tarjan does: each is complete after those that it
// requires.
type sorter struct {
	requires map[string][]string
	state    map[string]*visit
	stack    []string
	order    []Place
	circles  [][]string
}

type visit struct {
	index, low int
	onStack    bool
	level      int
}

func (s *sorter) visit(name string) *visit {
	v := &visit{index: len(s.state), low: len(s.state), onStack: true}
	s.state[name] = v
	s.stack = append(s.stack, name)
	for _, req := range s.requires[name] {
		if _, ok := s.requires[req]; !ok {
			continue
		}
		switch w := s.state[req]; {
		case w == nil:
			v.low = min(v.low, s.visit(req).low)
		case w.onStack:
			v.low = min(v.low, w.index)
		}
	}
	if v.low == v.index {
		s.complete(name)
	}
	return v
}

// complete takes the component that begins with first from the stack: an agent, or a circle.
func (s *sorter) complete(first string) {
	start := len(s.stack) - 1
	for s.stack[start] != first {
		start--
	}
	members := slices.Sorted(slices.Values(s.stack[start:]))
	s.stack = s.stack[:start]
	level := 0
	for _, name := range members {
		for _, req := range s.requires[name] {
			if w := s.state[req]; w != nil && !w.onStack { // else it is a member too
				level = max(level, w.level+1)
			}
		}
	}
	for _, name := range members {
		s.state[name].onStack, s.state[name].level = false, level
		s.order = append(s.order, Place{Name: name, Level: level})
	}
	if len(members) > 1 {
		s.circles = append(s.circles, members)
	}
}
