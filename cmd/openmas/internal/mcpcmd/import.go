package mcpcmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/mcp"
)

// maxImport bounds the file that import reads.
const maxImport = 4 << 20

func importCommand(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Make agents of the servers in an MCP client's configuration",
		Long: `Print the servers of an MCP client's configuration as the agents of a project file. FILE is a JSON file
with mcpServers or servers; - is standard input.

Secrets are not copied: what looks like one becomes ${env:NAME}. What a project file cannot express is
noted on standard error, and as a comment.`,
		Example: `  openmas mcp import ~/.cursor/mcp.json >> openmas.yaml`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := readImport(a, args[0])
			if err != nil {
				return err
			}
			agents, notes, err := importServers(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, note := range notes {
				fmt.Fprintf(a.Err, "note: %s\n", note)
			}
			_, err = io.WriteString(a.Out, agents)
			return err
		},
	}
}

func readImport(a *cli.App, name string) ([]byte, error) {
	in := a.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, cli.Usage(err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err == nil && len(text) > maxImport {
		err = fmt.Errorf("it is over %d MiB", maxImport>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}

// importServers converts a client's configuration. The notes are what a person has to know or do.
func importServers(text []byte) (yaml string, notes []string, err error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(plainJSON(text), &file); err != nil {
		return "", nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	list, ok := file["mcpServers"]
	if !ok {
		if list, ok = file["servers"]; !ok {
			if nested := (struct {
				Servers json.RawMessage `json:"servers"`
			}{}); file["mcp"] != nil && json.Unmarshal(file["mcp"], &nested) == nil { // the settings.json of an editor
				list = nested.Servers
			}
		}
	}
	var servers map[string]map[string]json.RawMessage
	if err := json.Unmarshal(list, &servers); err != nil || len(servers) == 0 {
		return "", nil, fmt.Errorf("there are no servers: neither mcpServers nor servers is an object with some")
	}
	im := &importer{taken: map[string]bool{"openmas": true}}
	im.out.WriteString("agents:\n")
	for _, name := range slices.Sorted(mapsKeys(servers)) {
		im.server(name, servers[name])
	}
	for _, key := range slices.Sorted(mapsKeys(file)) {
		if key != "mcpServers" && key != "servers" && key != "inputs" && key != "mcp" && key != "$schema" {
			im.note("%q at the top of the file is left out", key)
		}
	}
	return im.out.String(), im.notes, nil
}

// importer writes agents.
type importer struct {
	out   strings.Builder
	notes []string
	taken map[string]bool

	name   string   // of the agent that is being written
	prefix string   // of its lines: "# " when the server is disabled
	lines  []string // its keys
	lost   []string // what could not be said
}

func (im *importer) note(format string, args ...any) {
	im.notes = append(im.notes, fmt.Sprintf(format, args...))
}

func (im *importer) server(name string, s map[string]json.RawMessage) {
	im.name, im.prefix, im.lines, im.lost = im.agentName(name), "", nil, nil
	if im.name != name {
		im.note("server %q becomes agent %s: names are lower-case letters, digits and hyphens", name, im.name)
	}
	seen := map[string]bool{}
	text := func(keys ...string) (v string) {
		for _, key := range keys {
			if raw, ok := s[key]; ok && v == "" && json.Unmarshal(raw, &v) == nil {
				seen[key] = true
			}
		}
		return v
	}
	var disabled bool
	if json.Unmarshal(s["disabled"], &disabled) == nil {
		if seen["disabled"] = true; disabled {
			im.prefix = "# "
			im.note("%s is disabled, so it comes as a comment", im.name)
		}
	}
	kind := text("type", "transport", "transportType")
	var args []string
	if json.Unmarshal(s["args"], &args) == nil {
		seen["args"] = true
	}
	command, address := text("command"), text("url", "serverUrl", "httpUrl")
	switch {
	case command != "":
		im.command(command, args)
		if address != "" {
			im.lose("its url, since it has a command")
		}
		if kind != "" && kind != "stdio" && kind != "local" {
			im.lose("type: " + kind)
		}
	case address != "":
		im.url(address, kind)
	default:
		im.note("server %q has neither command nor url; it comes as a comment", name)
		im.prefix = "# "
		im.line("command: []")
	}
	im.pairs("env", s, seen, command != "")
	im.pairs("headers", s, seen, command == "")
	if dir := text("cwd"); dir != "" {
		im.line("dir: %s", quoted(im.references(dir)))
	}
	for _, key := range slices.Sorted(mapsKeys(s)) {
		if !seen[key] {
			im.lose(fmt.Sprintf("%s: %.200s", key, s[key]))
		}
	}
	im.flush()
}

func (im *importer) line(format string, args ...any) {
	im.lines = append(im.lines, fmt.Sprintf(format, args...))
}

func (im *importer) lose(what string) {
	im.lost = append(im.lost, what)
	im.note("%s: left out %s", im.name, what)
}

// flush writes the agent.
func (im *importer) flush() {
	fmt.Fprintf(&im.out, "  %s%s:\n", im.prefix, im.name)
	for _, line := range im.lines {
		fmt.Fprintf(&im.out, "  %s  %s\n", im.prefix, line)
	}
	for _, lost := range im.lost {
		fmt.Fprintf(&im.out, "    # left out: %s\n", strings.Join(strings.Fields(lost), " "))
	}
}

func (im *importer) command(program string, args []string) {
	argv := append([]string{program}, args...)
	for i := range argv {
		key, value, assigned := strings.Cut(argv[i], "=")
		switch {
		case assigned && looksSecret(strings.TrimLeft(key, "-"), value):
			argv[i] = key + "=" + im.secret(key, value)
		case !assigned && i > 0 && strings.HasPrefix(argv[i-1], "-") && !strings.HasPrefix(argv[i], "-") &&
			looksSecret(strings.TrimLeft(argv[i-1], "-"), argv[i]):
			argv[i] = im.secret(argv[i-1], argv[i])
		default:
			argv[i] = im.references(argv[i])
		}
	}
	for i := range argv {
		argv[i] = quoted(argv[i])
	}
	im.line("command: [%s]", strings.Join(argv, ", "))
}

func (im *importer) url(address, kind string) {
	im.line("url: %s", quoted(im.references(address)))
	bare, query, _ := strings.Cut(address, "?")
	if query != "" || strings.Contains(address, "@") {
		im.note("%s: look at its url: what is secret in it belongs into headers or token, as ${env:NAME}", im.name)
	}
	sse := mcp.TransportOf(bare) == mcp.SSE
	switch strings.ToLower(kind) {
	case "sse":
		if !sse {
			im.line("communicator: mcp-sse")
		}
	case "http", "streamable-http", "streamablehttp", "streamable_http":
		if sse {
			im.line("communicator: mcp-http")
		}
	case "":
	default:
		im.lose("type: " + kind)
	}
}

// pairs writes env or headers.
func (im *importer) pairs(key string, s map[string]json.RawMessage, seen map[string]bool, fits bool) {
	raw, ok := s[key]
	var values map[string]any
	if !ok || json.Unmarshal(raw, &values) != nil || !fits {
		return // left out, and said so
	}
	seen[key] = true
	var out []string
	for _, name := range slices.Sorted(mapsKeys(values)) {
		value, isText := values[name].(string)
		if !isText {
			value = fmt.Sprint(values[name])
		}
		scheme, token, _ := strings.Cut(value, " ")
		switch {
		case values[name] == nil:
			im.lose(key + ": " + name + ", which has no value")
			continue
		case key == "headers" && strings.EqualFold(name, "Authorization") && strings.EqualFold(scheme, "Bearer") &&
			token != "":
			im.line("token: %s", quoted(im.secret("token", token)))
			continue
		case looksSecret(name, value):
			value = im.secret(name, value)
		default:
			value = im.references(value)
		}
		out = append(out, quoted(name)+": "+quoted(value))
	}
	if len(out) > 0 {
		im.line("%s: {%s}", key, strings.Join(out, ", "))
	}
}
