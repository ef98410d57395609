// Package reload compares the configuration that a system runs with with another one: what of it
// concerns which agent, and what cannot change while the system runs.
package reload

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/runtime/project"
)

// A Kind is what happens to an agent, or to the process.
type Kind string

// The kinds of change.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
	Setting Kind = "setting" // of the process, which takes it as it is
)

// A Key is one with another value. Secrets are masked, so that Old and New may be the same text.
// Empty: it is not there.
type Key struct{ Key, Old, New string }

// A Change is of one agent, or of the process where Agent is empty.
type Change struct {
	Kind  Kind
	Agent string
	Keys  []Key
}

// Compare lists what changes from the configuration that each agent of a system runs with to next,
// by name. process is what the process itself runs with. refused are keys that cannot change while
// it runs. All configurations are complete.
func Compare(process *project.Config, agents map[string]*project.Config, next *project.Config) (changes []Change,
	refused []Key) {
	c := comparison{next: next, known: map[*project.Config]differences{}}
	settings := Change{Kind: Setting}
	for _, d := range c.from(process).global {
		switch key := d.Key(); {
		case forAgents(d.Path[0]) && key != "start.parallel" && key != "start.wait":
		case d.Path[0] == "drain" || key == "start.wait":
			settings.Keys = append(settings.Keys, named(d))
		default:
			refused = append(refused, named(d))
		}
	}
	names := maps.Clone(next.Agents)
	for name := range agents {
		names[name] = project.Agent{}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		_, wanted := next.Agents[name]
		switch old := agents[name]; {
		case old == nil:
			changes = append(changes, Change{Kind: Added, Agent: name})
		case !wanted:
			changes = append(changes, Change{Kind: Removed, Agent: name})
		default:
			if keys := c.agent(old, name); len(keys) > 0 {
				changes = append(changes, Change{Kind: Changed, Agent: name, Keys: keys})
			}
		}
	}
	if len(settings.Keys) > 0 {
		changes = append(changes, settings)
	}
	return changes, refused
}

// forAgents reports whether a section outside of agents is a part of what agents run with.
func forAgents(section string) bool {
	return slices.Contains([]string{"defaults", "start", "connect", "reconnect", "restart", "child"}, section)
}

// A comparison is one with next. The agents of a system mostly run with one configuration.
type comparison struct {
	next  *project.Config
	known map[*project.Config]differences
}

type differences struct {
	global []project.Difference
	agents map[string][]project.Difference
}

func (c *comparison) from(old *project.Config) differences {
	if d, ok := c.known[old]; ok {
		return d
	}
	d := differences{agents: map[string][]project.Difference{}}
	for _, one := range old.Differences(c.next) {
		if one.Path[0] != "agents" {
			d.global = append(d.global, one)
		} else if len(one.Path) > 2 {
			d.agents[one.Path[1]] = append(d.agents[one.Path[1]], one)
		}
	}
	c.known[old] = d
	return d
}

// agent lists the keys that concern an agent of both.
func (c *comparison) agent(old *project.Config, name string) (keys []Key) {
	all := c.from(old)
	for _, d := range all.agents[name] {
		d.Path = d.Path[2:]
		keys = append(keys, named(d))
	}
	a, b := old.Agents[name], c.next.Agents[name]
	policy := policies(old, c.next, name)
	for _, d := range all.global {
		if d.Path[0] == "defaults" && policy[d.Key()] || concerns(d.Key(), a) || concerns(d.Key(), b) {
			keys = append(keys, named(d))
		}
	}
	if b.Type != "" && b.Child() && Longest(c.next) > Longest(old) { // it has it from its start
		keys = append(keys, Key{"the longest timeout of all", Longest(old).String(), Longest(c.next).String()})
	}
	return keys
}

// concerns reports whether an agent runs with a key outside of agents that is no policy.
func concerns(key string, a project.Agent) bool {
	ours := a.Kind() == project.KindType
	section, _, _ := strings.Cut(key, ".")
	switch section {
	case "restart":
		return ours || a.Child()
	case "child":
		return a.Child()
	case "connect":
		return a.Kind() == project.KindURL
	case "reconnect":
		return !ours || a.Communicator != project.OverLocal && a.Communicator != project.OverStdio
	}
	return key == "start.timeout" && a.Kind() != project.KindURL && a.Start.Timeout == 0
}

// policies are the keys of the defaults that have another value for calls of an agent, or of one of
// its tools.
func policies(old, next *project.Config, name string) map[string]bool {
	differ := map[string]bool{}
	tools := map[string]bool{"": true}
	for _, c := range []*project.Config{old, next} {
		for tool := range c.Agents[name].Tools {
			tools[tool] = true
		}
	}
	for tool := range tools {
		a := project.Config{Defaults: old.PolicyFor(name, tool)}
		b := project.Config{Defaults: next.PolicyFor(name, tool)}
		for _, d := range a.Differences(&b) {
			differ[d.Key()] = true
		}
	}
	return differ
}

// Longest is the longest timeout of all policies: a child process cannot know the one of each
// callee, which its parent applies.
func Longest(c *project.Config) time.Duration {
	most := c.Defaults.Timeout
	for name, a := range c.Agents {
		most = max(most, c.PolicyFor(name, "").Timeout)
		for tool := range a.Tools {
			most = max(most, c.PolicyFor(name, tool).Timeout)
		}
	}
	return most
}

func named(d project.Difference) Key { return Key{d.Key(), d.Old, d.New} }
