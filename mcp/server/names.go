package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/openmas/openmas/agent"
)

// maxName is the longest name that well-known clients take; one longer name makes some of them
// refuse a whole list.
const maxName = 64

// GatewayName is the name of an agent's tool or prompt where many agents are offered together:
// agent_tool, in characters of [a-zA-Z0-9_-] (others become _) and of at most 64 (longer ones end
// in a hash). Agent names have no underscore, so the first one separates.
func GatewayName(agentName, tool string) string {
	name := []byte(agentName + "_" + tool)
	for i, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			name[i] = '_'
		}
	}
	if len(name) <= maxName {
		return string(name)
	}
	sum := sha256.Sum256([]byte(agentName + "." + tool))
	hash := "_" + hex.EncodeToString(sum[:4])
	return string(name[:maxName-len(hash)]) + hash
}

// CheckNames finds tools, and prompts, that would have the same name on a gateway. Each clash is
// named in the error.
func CheckNames(agents []agent.Info) error {
	var errs []error
	tools, prompts := map[string]string{}, map[string]string{}
	claim := func(taken map[string]string, kind, agentName, name string) {
		exported, own := GatewayName(agentName, name), agentName+"."+name
		if other, dup := taken[exported]; dup {
			errs = append(errs, fmt.Errorf("the %ss %s and %s would both be called %s on the gateway: rename one, or "+
				"leave one out with gateway.expose", kind, other, own, exported))
			return
		}
		taken[exported] = own
	}
	for _, a := range agents {
		for _, t := range a.Tools {
			claim(tools, "tool", a.Name, t.Name)
		}
		for _, p := range a.Prompts {
			claim(prompts, "prompt", a.Name, p.Name)
		}
	}
	return errors.Join(errs...)
}

// exposure decides what a list such as [editor, notes.search] offers to strangers. An empty one
// offers everything.
type exposure map[string]bool

func newExposure(list []string) exposure {
	e := exposure{}
	for _, name := range list {
		e[name] = true
		if a, _, ok := agent.SplitName(name); ok {
			e[a+"."] = true
		}
	}
	return e
}

// agent reports whether anything of the agent is offered.
func (e exposure) agent(name string) bool { return len(e) == 0 || e[name] || e[name+"."] }

// whole reports whether all of the agent is.
func (e exposure) whole(name string) bool { return len(e) == 0 || e[name] }

// member reports whether a tool or prompt is.
func (e exposure) member(agentName, name string) bool {
	return e.whole(agentName) || e[agentName+"."+name]
}

// filter is infos without what is not offered.
func (e exposure) filter(infos []agent.Info) []agent.Info {
	if len(e) == 0 {
		return infos
	}
	var out []agent.Info
	for _, in := range infos {
		if !e.agent(in.Name) {
			continue
		}
		if !e.whole(in.Name) {
			tools, prompts := in.Tools, in.Prompts
			in.Tools, in.Prompts, in.Resources = nil, nil, nil
			for _, t := range tools {
				if e.member(in.Name, t.Name) {
					in.Tools = append(in.Tools, t)
				}
			}
			for _, p := range prompts {
				if e.member(in.Name, p.Name) {
					in.Prompts = append(in.Prompts, p)
				}
			}
		}
		out = append(out, in)
	}
	return out
}
