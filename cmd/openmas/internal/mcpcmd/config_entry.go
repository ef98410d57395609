package mcpcmd

import (
	"encoding/json"
	"strings"
)

// entry is a server in a client's configuration: a program to start, or a URL.
type entry struct {
	name, client string
	argv         []string
	url          string
	sse          bool
	tokenVar     string // empty: no token
}

// tokenPlace is how the client's configuration refers to the token.
func (e *entry) tokenPlace() string {
	switch e.client {
	case "vscode":
		return "${input:" + e.inputID() + "}"
	case "cursor":
		return "${env:" + e.tokenVar + "}"
	}
	return "PUT-THE-TOKEN-HERE"
}

func (e *entry) tokenHint() string {
	switch e.client {
	case "vscode":
		return "the editor asks for it once and keeps it"
	case "cursor":
		return "set it in the environment that the editor is started from"
	}
	return "replace PUT-THE-TOKEN-HERE"
}

func (e *entry) inputID() string {
	return strings.ToLower(strings.ReplaceAll(e.tokenVar, "_", "-"))
}

// orderedObject is a JSON object whose members keep their order.
type orderedObject []member

type member struct {
	key   string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o orderedObject) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(m.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// snippet is the whole file, for a client that has no other server yet.
func (e *entry) snippet() orderedObject {
	var one orderedObject
	typed := e.client == "vscode"
	switch {
	case e.url != "":
		kind := "http"
		if e.sse {
			kind = "sse"
		}
		if typed {
			one = append(one, member{"type", kind})
		}
		one = append(one, member{"url", e.url})
		if e.tokenVar != "" {
			one = append(one, member{"headers", orderedObject{{"Authorization", "Bearer " + e.tokenPlace()}}})
		}
	default:
		if typed {
			one = append(one, member{"type", "stdio"})
		}
		one = append(one, member{"command", e.argv[0]}, member{"args", e.argv[1:]})
		if e.tokenVar != "" {
			one = append(one, member{"env", orderedObject{{e.tokenVar, e.tokenPlace()}}})
		}
	}
	if e.client != "vscode" {
		return orderedObject{{"mcpServers", orderedObject{{e.name, one}}}}
	}
	out := orderedObject{{"servers", orderedObject{{e.name, one}}}}
	if e.tokenVar != "" {
		out = append(out, member{"inputs",
			[]orderedObject{{{"type", "promptString"}, {"id", e.inputID()}, {"description", "The token of " + e.name},
				{"password", true}}}})
	}
	return out
}
