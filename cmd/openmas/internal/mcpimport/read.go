package mcpimport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v4"
)

// What clients call the same thing.
var (
	commandKeys = []string{"command", "cmd"}
	urlKeys     = []string{"url", "serverUrl", "httpUrl", "baseUrl", "uri"}
	kindKeys    = []string{"type", "transport", "transportType"}
	envKeys     = []string{"env", "environment", "envs"}
	dirKeys     = []string{"cwd", "dir"}
	headerKeys  = []string{"headers", "http_headers"}
	allowKeys   = []string{"includeTools", "enabled_tools", "tools", "allowed_tools"}
)

// An entry is one server of a client's file: its keys with their values, which are texts, numbers
// (json.Number, so that 1.10 stays 1.10), booleans, lists ([]any) and objects (map[string]any).
type entry struct {
	name    string
	client  string         // whose shape it is, "" if several clients write it
	project string         // the folder that it is for, "" for all
	fields  map[string]any // nil: it is no object
}

// decode reads a file in whichever of the three formats it is.
func decode(text []byte) (map[string]any, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var doc any
	d := json.NewDecoder(bytes.NewReader(plainJSON(text)))
	d.UseNumber()
	wrong := d.Decode(&doc)
	if wrong == nil && d.More() {
		wrong = errors.New("more stands behind the JSON value")
	}
	if wrong != nil && !bytes.HasPrefix(bytes.TrimSpace(plainJSON(text)), []byte("{")) {
		var table map[string]any
		if toml.Unmarshal(text, &table) == nil {
			doc, wrong = plainValue(table), nil
		} else if v, err := decodeYAML(text); err == nil {
			doc, wrong = v, nil
		} else {
			wrong = fmt.Errorf("it is neither JSON nor TOML, and as YAML: %w", err)
		}
	}
	if wrong != nil {
		return nil, fmt.Errorf("it cannot be read: %w", wrong)
	}
	file, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("it is no object with servers in it")
	}
	return file, nil
}

// plainValue turns what the TOML decoder makes into what the JSON decoder makes.
func plainValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plainValue(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	case int64:
		return json.Number(strconv.FormatInt(v, 10))
	case float64:
		return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
	case time.Time:
		return v.Format(time.RFC3339)
	case fmt.Stringer: // the local dates and times of TOML
		return v.String()
	}
	return v
}

// maxNodes bounds what aliases make of a YAML file.
const maxNodes = 1 << 18

func decodeYAML(text []byte) (any, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	left := maxNodes
	return yamlValue(&doc, &left)
}

func yamlValue(n *yaml.Node, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("it has more than %d values, or an alias to itself", maxNodes)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return yamlValue(n.Alias, left)
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil
		}
		return yamlValue(n.Content[0], left)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			v, err := yamlValue(item, left)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := yamlValue(n.Content[i+1], left)
			if err != nil {
				return nil, err
			}
			object[n.Content[i].Value] = v
		}
		return object, nil
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), nil
	case "!!int", "!!float":
		return json.Number(n.Value), nil
	}
	return n.Value, nil
}

// Clients whose files are told from others'.
const (
	zed      = "Zed"
	goose    = "Goose"
	opencode = "opencode"
	cherry   = "Cherry Studio"
)

// containers are the keys under which clients keep their servers: those of most clients, of VS
// Code, Zed, Codex and Goose.
var containers = []string{"mcpServers", "servers", "context_servers", "mcp_servers", "extensions"}

var clients = map[string]string{"context_servers": zed, "extensions": goose}

// servers finds the servers of a file. used are the keys at the top that held them or that belong
// to them.
func servers(file map[string]any) (found []entry, used []string, err error) {
	for _, key := range containers {
		list := entries(file[key], clients[key], true)
		used := []string{key, "inputs", "$schema", "name", "version", "schema"}
		if more := projects(file["projects"]); len(more) > 0 {
			list, used = append(list, more...), append(used, "projects")
		}
		if len(list) > 0 {
			return list, used, nil
		}
	}
	if mcp, ok := file["mcp"].(map[string]any); ok {
		for _, nested := range append([]any{mcp["servers"]}, any(mcp)) { // the settings of VS Code; opencode
			if list := entries(nested, opencode, true); len(list) > 0 {
				return list, []string{"mcp", "$schema"}, nil
			}
		}
	}
	if list := entries(file, "", false); len(list) > 0 { // the .mcp.json of a plugin
		return list, slices.Collect(maps.Keys(file)), nil
	}
	return nil, nil, fmt.Errorf("no servers are in it: no %s or mcp is an object or a list with some",
		strings.Join(containers, ", "))
}

// projects reads the servers that Claude Code keeps for single folders. They start there.
func projects(v any) (list []entry) {
	folders, _ := v.(map[string]any)
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		settings, _ := folders[folder].(map[string]any)
		for _, e := range entries(settings["mcpServers"], "", true) {
			if e.fields["command"] != nil && e.fields["cwd"] == nil {
				e.fields["cwd"] = folder
			}
			e.project = folder
			list = append(list, e)
		}
	}
	return list
}

// entries reads an object of servers by name, or a list of servers that have names. It returns nil
// if what it gets is neither, or has something else in it, unless that is certainly a server.
func entries(v any, client string, certain bool) (list []entry) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fields, ok := v[name].(map[string]any)
			if !ok && !certain {
				return nil
			}
			e := entry{name: name, client: client, fields: fields}
			if _, random := fields["isActive"]; random && textOf(fields["name"]) != "" {
				e.name, e.client = textOf(fields["name"]), cherry // its keys are random
				delete(fields, "name")
			}
			list = append(list, e)
		}
	case []any:
		for _, item := range v {
			fields, ok := item.(map[string]any)
			if !ok && !certain {
				return nil
			}
			name := textOf(fields["name"])
			delete(fields, "name")
			list = append(list, entry{name: name, client: client, fields: fields})
		}
	}
	some := func(e entry) bool { // else it is an object of something else
		return slices.ContainsFunc(slices.Concat(commandKeys, urlKeys, []string{"type"}), func(key string) bool {
			return e.fields[key] != nil
		})
	}
	if !slices.ContainsFunc(list, some) {
		return nil
	}
	return list
}

// textOf is the text that a scalar is written as; "" for null, a list or an object.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}
