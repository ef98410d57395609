// Package mcpimport makes agents of the servers in the configuration of an MCP client.
//
//	read.go       the shapes and formats of clients' files
//	importer.go   what is known while agents are made, and the check of each
//	agent.go      the keys of one server
//	fields.go     what is taken of these keys
//	timeout.go    how long its start and its calls may take
//	reference.go  ${NAME} and its like
//	hide.go       secrets leave texts, arguments, URLs, headers and JSON
//	secret.go     what is taken for a secret
//	write.go      the agents as a block of a project file
//	into.go       agents go into a project file that is there
package mcpimport

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Read makes agents of the servers in a client's file, in the order of their names. The notes, of
// the file and of each agent, are what a person has to know or do. No secret is in any of it,
// unless the options keep them. An agent that a project file could not have, or whose server is
// disabled, is a comment; when all are, that is an error.
func Read(file []byte, opts Options) (agents []*Agent, notes []string, err error) {
	first := newImporter(opts, nil) // for the names of secrets
	if _, err := first.read(file, false); err != nil {
		return nil, nil, err
	}
	im := newImporter(opts, first.wanted)
	agents, err = im.read(file, true)
	return agents, im.notes, err
}

func newImporter(opts Options, wanted map[string]map[string]bool) *importer {
	im := &importer{opts: opts, names: map[string]bool{"openmas": true}, secrets: map[string]string{},
		wanted: map[string]map[string]bool{}, ambiguous: map[string]bool{}}
	for name, values := range wanted {
		im.ambiguous[name] = len(values) > 1
	}
	return im
}

func (im *importer) read(file []byte, checked bool) (agents []*Agent, err error) {
	top, err := decode(file)
	if err != nil {
		return nil, err
	}
	list, used, err := servers(top)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		im.variables, im.login, im.agent = nil, "", &Agent{}
		im.server(e)
		agents = append(agents, im.agent)
		if !checked {
			continue
		}
		if err := im.check(); err != nil {
			im.out(err.Error())
		}
	}
	im.agent = nil
	left := slices.DeleteFunc(slices.Sorted(maps.Keys(top)), func(k string) bool { return slices.Contains(used, k) })
	if len(left) > 0 {
		im.note("left out from the top of the file: %s", strings.Join(left, ", "))
	}
	slices.SortStableFunc(agents, func(a, b *Agent) int { return strings.Compare(a.Name, b.Name) })
	if checked && !slices.ContainsFunc(agents, (*Agent).Active) {
		err = fmt.Errorf("none of its %d servers can be an agent now", len(agents))
	}
	return agents, err
}
