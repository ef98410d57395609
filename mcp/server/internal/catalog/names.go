package server

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/openmas/openmas/agent"
)

// maxName is the longest name that well-known clients take; one longer name makes some of them
// refuse a whole list.
const maxName = 64

// GatewayNames are the names of an agent's tools, or of its prompts, where many agents are offered
// together: one for each of names, in their order, all of them different and none longer than 64
// characters.
//
// A name is agent_tool. Agent names have no underscore, so the first one separates. Characters
// other than [a-zA-Z0-9_-] become _. A name that would be too long, has other characters than those
// of ASCII, or would be that of another tool as well, ends in a hash of the original. Which
// names get one follows from the set of names alone: every start gives the same, in whatever order
// a server lists its tools.
func GatewayNames(agentName string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range gatewayNames(agentName, names) {
		out[i] = n.exported
	}
	return out
}

// exportedName is what a tool or prompt is called by clients.
type exportedName struct {
	exported string
	why      string // it ends in a hash; empty: it does not
}

func gatewayNames(agentName string, names []string) []exportedName {
	wanted := map[string]int{} // how many names become one
	for _, n := range uniq(names) {
		wanted[plainName(agentName, n)]++
	}
	out := make([]exportedName, len(names))
	taken := map[string]string{} // the originals
	for i, n := range names {
		plain := plainName(agentName, n)
		switch {
		case n == "":
			out[i].why = "it is empty"
		case plain == agentName+"_"+n && len(plain) <= maxName: // nobody has a better claim
		case !isASCII(n):
			out[i].why = "it has characters that are not ASCII"
		case len(plain) > maxName:
			out[i].why = "it is too long"
		case wanted[plain] > 1:
			out[i].why = "another one would have the same name"
		}
		if out[i].why == "" {
			out[i].exported, taken[plain] = plain, n
		}
	}
	for _, i := range byName(names) {
		if out[i].why == "" {
			continue
		}
		plain, sum := plainName(agentName, names[i]), sha256.Sum256([]byte(agentName+"."+names[i]))
		for size := 4; ; size++ { // longer only where a server chose its names for it
			hash := "_" + hex.EncodeToString(sum[:size])
			name := plain[:min(len(plain), maxName-len(hash))] + hash
			if other, dup := taken[name]; !dup || other == names[i] {
				out[i].exported, taken[name] = name, names[i]
				break
			}
		}
	}
	return out
}

// plainName is agent_tool in the characters that every client takes.
func plainName(agentName, name string) string {
	var b strings.Builder
	b.WriteString(agentName + "_")
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			c = '_'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// byName are the indices of names in the order of the names.
func byName(names []string) []int {
	at := make([]int, len(names))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return strings.Compare(names[a], names[b]) })
	return at
}

func uniq(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
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
