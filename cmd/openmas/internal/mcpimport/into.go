package mcpimport

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Into adds agents to the text of a project file and leaves everything else of it as it is,
// comments included. An agent whose name the file has already is skipped; skipped are their names.
// Comments for agents that are not active are added too, once.
func Into(file []byte, agents []*Agent) (merged []byte, skipped []string, err error) {
	text := string(file)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(file, &doc); err != nil {
		return nil, nil, fmt.Errorf("it is not valid YAML: %w", err)
	}
	var top, list *yaml.Node
	if len(doc.Content) > 0 {
		top = doc.Content[0]
	}
	end, key := 0, 0 // the lines of the key behind agents, and of agents
	if top != nil && top.ShortTag() != "!!null" {
		if top.Kind != yaml.MappingNode || top.Style&yaml.FlowStyle != 0 {
			return nil, nil, errors.New("it is no mapping of keys in lines of their own")
		}
		for i := 0; i+1 < len(top.Content); i += 2 {
			switch {
			case top.Content[i].Value == "agents":
				list, key = top.Content[i+1], top.Content[i].Line
			case list != nil && end == 0:
				end = top.Content[i].Line
			}
		}
	}
	if list == nil {
		return []byte(text + Write(agents)), nil, nil
	}
	lines := strings.SplitAfter(text, "\n")
	agents = slices.DeleteFunc(slices.Clone(agents), func(a *Agent) bool {
		return !a.Active() && slices.ContainsFunc(lines, func(line string) bool {
			return strings.TrimSpace(line) == "# "+a.Name+":"
		})
	})
	if list.ShortTag() == "!!null" && list.Value == "" {
		lines = slices.Insert(lines, key, block(agents, "  "))
		return []byte(strings.Join(lines, "")), nil, nil
	}
	if list.Kind != yaml.MappingNode || list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0 {
		return nil, nil, fmt.Errorf("line %d: its agents are not in lines of their own: write agents: and each agent "+
			"below it, indented", max(list.Line, 1))
	}
	fresh := slices.DeleteFunc(agents, func(a *Agent) bool {
		for i := 0; i < len(list.Content); i += 2 {
			if list.Content[i].Value == a.Name {
				skipped = append(skipped, a.Name)
				return true
			}
		}
		return false
	})
	at := len(lines) - 1 // behind the last line, which is empty
	if end > 0 {
		at = end - 1
	}
	for at > 0 && outside(lines[at-1]) {
		at--
	}
	indent := strings.Repeat(" ", list.Content[0].Column-1)
	lines = slices.Insert(lines, at, block(fresh, indent))
	return []byte(strings.Join(lines, "")), skipped, nil
}

// outside reports whether a line belongs to what follows: it is empty, a comment or a mark that
// begins in the first column.
func outside(line string) bool {
	return strings.TrimSpace(line) == "" || line[0] == '#' || strings.HasPrefix(line, "...")
}
