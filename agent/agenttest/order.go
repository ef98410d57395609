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
			c, ok := caps[req.Agent()]
			if !ok || req.Tool() != "" && !slices.ContainsFunc(c.Tools, func(t agent.Tool) bool {
				return t.Info().Name == req.Tool()
			}) {
				errs = append(errs, fmt.Errorf("agent %q requires %q, which nobody here provides: script it "+
					"(agenttest.Script)", name, req.String()))
				continue
			}
			visit(req.Agent())
		}
		order = append(order, name)
	}
	for _, name := range slices.Sorted(maps.Keys(caps)) {
		visit(name)
	}
	return order, errors.Join(errs...)
}
