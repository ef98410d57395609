// Package mcpimport makes agents of the servers in the configuration of an MCP client.
//
//	read.go       the shapes and formats of clients' files
//	agent.go      the keys of one server
//	reference.go  ${NAME} and its like
//	hide.go       secrets leave texts, arguments, URLs, headers and JSON
//	secret.go     what is taken for a secret
//	into.go       agents go into a project file that is there
package mcpimport

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/openmas/openmas/runtime/project"
)

// Options say how to import.
type Options struct {
	KeepSecrets bool // secrets go over in clear
	Disabled    bool // servers that are disabled become agents as well
}

// An Agent is one server as an agent of a project file.
type Agent struct {
	Name  string
	lines []string // its keys
	lost  []string // what a project file cannot express
	out   string   // why it is a comment
}

// Active reports whether the agent is one, and not a comment.
func (a *Agent) Active() bool { return a.out == "" }

// Read makes agents of the servers in a client's file, in the order of their names. The notes are
// what a person has to know or do. No secret is in either, unless the options keep them. An agent
// that a project file could not have, or whose server is disabled, is a comment; when all are, that
// is an error.
func Read(file []byte, opts Options) (agents []*Agent, notes []string, err error) {
	top, err := decode(file)
	if err != nil {
		return nil, nil, err
	}
	list, used, err := servers(top)
	if err != nil {
		return nil, nil, err
	}
	im := &importer{opts: opts, names: map[string]bool{"openmas": true}, secrets: map[string]string{}}
	for _, e := range list {
		im.variables, im.login = nil, ""
		im.server(e)
		if err := im.check(); err != nil {
			im.out(err.Error())
		}
		agents = append(agents, im.agent)
	}
	left := slices.DeleteFunc(slices.Sorted(maps.Keys(top)), func(k string) bool { return slices.Contains(used, k) })
	if len(left) > 0 {
		im.note("left out from the top of the file: %s", strings.Join(left, ", "))
	}
	slices.SortStableFunc(agents, func(a, b *Agent) int { return strings.Compare(a.Name, b.Name) })
	if !slices.ContainsFunc(agents, (*Agent).Active) {
		err = fmt.Errorf("none of its %d servers can be an agent now", len(agents))
	}
	return agents, im.notes, err
}

// Write returns the agents as a block of a project file.
func Write(agents []*Agent) string {
	return "agents:\n" + block(agents, "  ")
}

func block(agents []*Agent, indent string) string {
	var out strings.Builder
	for _, a := range agents {
		prefix := ""
		if !a.Active() {
			prefix = "# "
			fmt.Fprintf(&out, "%s# %s: %s\n", indent, a.Name, oneLine(a.out))
		}
		fmt.Fprintf(&out, "%s%s%s:\n", indent, prefix, a.Name)
		for _, line := range a.lines {
			fmt.Fprintf(&out, "%s%s  %s\n", indent, prefix, line)
		}
		for _, lost := range a.lost {
			fmt.Fprintf(&out, "%s  # left out: %s\n", indent, oneLine(lost))
		}
	}
	return out.String()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// importer writes agents.
type importer struct {
	opts    Options
	notes   []string
	names   map[string]bool   // of agents
	secrets map[string]string // the variables that were made up, with what they stand for

	// Of the agent that is being written.
	name      string
	agent     *Agent
	variables []string // that it refers to
	login     string   // an Authorization header, from its URL
}

func (im *importer) note(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); !slices.Contains(im.notes, note) {
		im.notes = append(im.notes, note)
	}
}

func (im *importer) line(format string, args ...any) {
	im.agent.lines = append(im.agent.lines, fmt.Sprintf(format, args...))
}

// lose notes what a project file does not say.
func (im *importer) lose(key, why string) {
	if why != "" {
		key += ": " + why
	}
	im.agent.lost = append(im.agent.lost, key)
	im.note("%s: left out %s", im.name, key)
}

// out makes the agent a comment.
func (im *importer) out(why string) {
	if im.agent.Active() {
		im.agent.out = why
		im.note("%s comes as a comment: %s", im.name, why)
	}
}

// check loads the agent as part of a project file, with every variable that it refers to.
func (im *importer) check() error {
	if !im.agent.Active() {
		return nil
	}
	dir, err := os.MkdirTemp("", "openmas-import-")
	if err != nil {
		return fmt.Errorf("check it: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in a folder for that
	file := filepath.Join(dir, "openmas.yaml")
	if err := os.WriteFile(file, []byte(Write([]*Agent{im.agent})), 0o600); err != nil {
		return fmt.Errorf("check it: %w", err)
	}
	environ := []string{}
	for _, name := range im.variables {
		value := "x"
		if strings.Contains(strings.Join(im.agent.lines, "\n"), `url: "${env:`+name+"}") {
			value = "https://x" // the variable begins a URL
		}
		environ = append(environ, name+"="+value)
	}
	_, err = project.Load(file, project.Options{Environ: environ})
	var problems project.Errors
	if errors.As(err, &problems) && len(problems) > 0 {
		return errors.New(strings.TrimPrefix(problems[0].Message, "agents."+im.name+"."))
	}
	return err
}

var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// agentName makes a valid name of a server's, and one that no other has.
func (im *importer) agentName(server string) string {
	const longest = 32
	name := strings.Trim(unfit.ReplaceAllString(strings.ToLower(server), "-"), "-")
	if name == "" || name[0] < 'a' {
		name = strings.TrimSuffix("mcp-"+name, "-")
	}
	if name == "openmas" {
		name = "openmas-mcp"
	}
	name = strings.TrimRight(name[:min(len(name), longest)], "-")
	for base, n := name, 2; im.names[name]; n++ {
		suffix := fmt.Sprintf("-%d", n)
		name = strings.TrimRight(base[:min(len(base), longest-len(suffix))], "-") + suffix
	}
	im.names[name] = true
	return name
}
