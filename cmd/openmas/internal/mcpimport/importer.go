package mcpimport

import (
	"errors"
	"fmt"
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

// importer writes agents.
type importer struct {
	opts    Options
	notes   []string
	names   map[string]bool   // of agents
	secrets map[string]string // the variables that were made up, with what they stand for
	// wanted are the names that secrets would have if each had one of its own, with what they would
	// stand for. Names of several are ambiguous: every agent then has a variable under its own
	// name, whichever of them comes first.
	wanted    map[string]map[string]bool
	ambiguous map[string]bool

	// Of the agent that is being written.
	name      string
	agent     *Agent
	variables []string // that it refers to
	login     string   // an Authorization header, from its URL
	place     place    // of the value that is being written
}

// A place is where a value stands in a client's file.
type place struct{ word, text string }

var (
	inArgument = place{"ARG", " in an argument"}
	inURL      = place{"URL", " in its url"}
	inEnv      = place{"ENV", ""}
	inHeader   = place{"HEADER", ""}
)

// note adds a note to the agent that is being written, or to the file as a whole.
func (im *importer) note(format string, args ...any) {
	notes := &im.notes
	if im.agent != nil {
		notes = &im.agent.Notes
	}
	if note := fmt.Sprintf(format, args...); !slices.Contains(*notes, note) {
		*notes = append(*notes, note)
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

// fileReference is ${file:NAME}, with what is before it: one more $ makes it a text.
var fileReference = regexp.MustCompile(`(^|[^$])\$\{file:[^}]*\}`)

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
	text := fileReference.ReplaceAllString(Write([]*Agent{im.agent}), "${1}x") // the file may be elsewhere
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("check it: %w", err)
	}
	environ := []string{}
	for _, name := range im.variables {
		value := "1" // which can be a port as well
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
