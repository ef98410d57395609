package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxName is the longest name that well-known clients take; one longer name makes some of them
// refuse a whole list.
const maxName = 64

// A Target is what an exported name or URI stands for.
type Target struct{ Agent, Name string }

// A Note says what happened to one thing of an agent.
type Note struct{ Agent, Kind, Name, What string }

// A Name is what a tool or prompt is called by clients.
type Name struct {
	Exported string
	Why      string // it ends in a hash; empty: it does not
}

// GatewayNames are the names of an agent's tools, or of its prompts, where many agents are offered
// together: see [server.GatewayNames].
func GatewayNames(agentName string, names []string) []Name {
	wanted := map[string]int{} // how many names become one
	for _, n := range uniq(names) {
		wanted[plainName(agentName, n)]++
	}
	out := make([]Name, len(names))
	taken := map[string]string{} // the originals
	for i, n := range names {
		plain := plainName(agentName, n)
		switch {
		case n == "":
			out[i].Why = "it is empty"
		case plain == agentName+"_"+n && len(plain) <= maxName: // nobody has a better claim
		case !isASCII(n):
			out[i].Why = "it has characters that are not ASCII"
		case len(plain) > maxName:
			out[i].Why = "it is too long"
		case wanted[plain] > 1:
			out[i].Why = "another one would have the same name"
		}
		if out[i].Why == "" {
			out[i].Exported, taken[plain] = plain, n
		}
	}
	for _, i := range byName(names) {
		if out[i].Why == "" {
			continue
		}
		plain, sum := plainName(agentName, names[i]), sha256.Sum256([]byte(agentName+"."+names[i]))
		for size := 4; ; size++ { // longer only where a server chose its names for it
			hash := "_" + hex.EncodeToString(sum[:size])
			name := plain[:min(len(plain), maxName-len(hash))] + hash
			if other, dup := taken[name]; !dup || other == names[i] {
				out[i].Exported, taken[name] = name, names[i]
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
