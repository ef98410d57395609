package catalog

import "github.com/openmas/openmas/agent"

// An Exposure decides what a list such as [editor, notes.search] offers to strangers. An empty one
// offers everything.
type Exposure map[string]bool

// NewExposure is for a list of agents, as "agent", and of tools and prompts, as "agent.tool".
func NewExposure(list []string) Exposure {
	e := Exposure{}
	for _, name := range list {
		e[name] = true
		if a, _, ok := agent.SplitName(name); ok {
			e[a+"."] = true
		}
	}
	return e
}

// Agent reports whether anything of the agent is offered.
func (e Exposure) Agent(name string) bool { return len(e) == 0 || e[name] || e[name+"."] }

// Whole reports whether all of the agent is.
func (e Exposure) Whole(name string) bool { return len(e) == 0 || e[name] }

// Member reports whether a tool or prompt is.
func (e Exposure) Member(agentName, name string) bool {
	return e.Whole(agentName) || e[agentName+"."+name]
}

// Filter is infos without what is not offered.
func (e Exposure) Filter(infos []agent.Info) []agent.Info {
	if len(e) == 0 {
		return infos
	}
	var out []agent.Info
	for _, in := range infos {
		if !e.Agent(in.Name) {
			continue
		}
		if !e.Whole(in.Name) {
			tools, prompts := in.Tools, in.Prompts
			in.Tools, in.Prompts, in.Resources = nil, nil, nil
			for _, t := range tools {
				if e.Member(in.Name, t.Name) {
					in.Tools = append(in.Tools, t)
				}
			}
			for _, p := range prompts {
				if e.Member(in.Name, p.Name) {
					in.Prompts = append(in.Prompts, p)
				}
			}
		}
		out = append(out, in)
	}
	return out
}
