// Package recorded is what eight servers that people use answered once, byte for byte, and a server
// that says it again.
package recorded

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

//go:embed recorded.txt
var text string // a line for each answer: the server, the method, the result

// A Recording is a result.
type Recording struct {
	Server, Method, Result string
	Member                 string // of the result: what holds its items; empty: nothing
	Items                  []string
}

var itemsOf = map[string]string{"tools/list": "tools", "prompts/list": "prompts", "resources/list": "resources",
	"resources/templates/list": "resourceTemplates", "tools/call": "content", "prompts/get": "messages",
	"resources/read": "contents"}

// All are the recordings, in their order. It panics where the file is not what it should be.
func All() (all []Recording) {
	for line := range strings.Lines(text) {
		part := strings.SplitN(strings.TrimSpace(line), " ", 3)
		all = append(all, New(part[0], part[1], part[2]))
	}
	return all
}

// New is a result that was not recorded.
func New(server, method, result string) Recording {
	r := Recording{Server: server, Method: method, Result: result, Member: itemsOf[method]}
	var members map[string]json.RawMessage
	err := json.Unmarshal([]byte(result), &members)
	var items []json.RawMessage
	if err == nil && members[r.Member] != nil {
		err = json.Unmarshal(members[r.Member], &items)
	}
	if err != nil {
		panic(fmt.Sprintf("%s %s is no result: %v", server, method, err))
	}
	for _, i := range items {
		r.Items = append(r.Items, string(i))
	}
	return r
}

// With is the recording with other items.
func (r Recording) With(items []string) Recording {
	r.Result = strings.Replace(r.Result, strings.Join(r.Items, ","), strings.Join(items, ","), 1)
	r.Items = items
	return r
}

// Of are those of a server, or of a method; empty: all of them.
func Of(all []Recording, server, method string) []Recording {
	return slices.DeleteFunc(slices.Clone(all), func(r Recording) bool {
		return server != "" && r.Server != server || method != "" && r.Method != method
	})
}

// Servers are the names of the servers, in their order.
func Servers(all []Recording) (names []string) {
	for _, r := range all {
		if !slices.Contains(names, r.Server) {
			names = append(names, r.Server)
		}
	}
	return names
}

// IsTask reports whether an item is a tool that runs as a task only, which is left out.
func IsTask(item string) bool { return strings.Contains(item, `"taskSupport":"required"`) }
