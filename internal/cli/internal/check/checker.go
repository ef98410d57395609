package check

import (
	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// A checker collects problems of a project that loads.
type checker struct {
	cfg    *project.Config
	agents map[string]asked
	probed map[string]runtime.Probed // the foreign agents that were asked
	found  []Problem
}

func (c *checker) add(severity string, keys []string, help, format string, args ...any) {
	e := c.cfg.Errorf(keys, format, args...)
	e.Hint = help
	c.found = append(c.found, Of(severity, e))
}

// offers is what an agent offers, as far as it was asked.
func (c *checker) offers(name string) (info agent.Info, known bool) {
	if own, known := c.agents[name]; known {
		return own.info, true
	}
	p, asked := c.probed[name]
	return p.Info, asked && p.Err == nil
}
