package agenttest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/openmas/openmas/agent"
)

// startOrder puts what is required before who requires it, by name otherwise. Agents that require
// each other start in one of the orders.
func startOrder(caps map[string]agent.Capabilities) ([]string, error) {
	var order []string
	var errs []error
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, req := range caps[name].Requires {
			on, tool, isTool := agent.SplitName(req)
			if !isTool {
				on = req
			}
			c, ok := caps[on]
			if !ok || isTool && !slices.ContainsFunc(c.Tools, func(t agent.Tool) bool {
				return t.Info().Name == tool
			}) {
				errs = append(errs, fmt.Errorf("agent %q requires %q, which nobody here provides: script it "+
					"(agenttest.Script)", name, req))
				continue
			}
			visit(on)
		}
		order = append(order, name)
	}
	for _, name := range slices.Sorted(maps.Keys(caps)) {
		visit(name)
	}
	return order, errors.Join(errs...)
}
