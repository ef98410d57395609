package check

import "github.com/openmas/openmas/runtime/project"

// A checker collects problems of a project that loads.
type checker struct {
	cfg    *project.Config
	agents map[string]asked
	found  []Problem
}

func (c *checker) add(severity string, keys []string, help, format string, args ...any) {
	e := c.cfg.Errorf(keys, format, args...)
	e.Hint = help
	c.found = append(c.found, Of(severity, e))
}
