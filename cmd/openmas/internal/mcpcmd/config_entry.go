package mcpcmd

import (
	"encoding/json"
	"regexp"
	"strings"
)

// defaultTokenVar is where clients keep the gateway's token, unless somebody says otherwise.
const defaultTokenVar = "OPENMAS_TOKEN"

// entry is a server in a client's configuration: a program to start, or a URL.
type entry struct {
	name, client string
	argv         []string
	url          string
	sse          bool
	tokenVar     string   // empty: no token
	hidden       []string // variables with other secrets, for a program to start
}

// variables are those with a secret.
func (e *entry) variables() (all []string) {
	if e.tokenVar != "" {
		all = append(all, e.tokenVar)
	}
	return append(all, e.hidden...)
}

// place is how the client's configuration refers to the value of a variable.
func (e *entry) place(variable string) string {
	switch e.client {
	case "vscode":
		return "${input:" + inputID(variable) + "}"
	case "cursor":
		return "${env:" + variable + "}"
	}
	if variable == e.tokenVar {
		return "PUT-THE-TOKEN-HERE"
	}
	return "PUT-" + strings.ToUpper(inputID(variable)) + "-HERE"
}

// hint says where the client has the value of a variable from.
func (e *entry) hint(variable string) string {
	switch e.client {
	case "vscode":
		return "the editor asks for it once and keeps it"
	case "cursor":
		return "set it in the environment that the editor is started from"
	}
	return "replace " + e.place(variable)
}

func inputID(variable string) string {
	return strings.ToLower(strings.ReplaceAll(variable, "_", "-"))
}

// hide takes secrets out of the arguments of a program: what --set sets to one is set to a variable
// in its place, which the program gets from the client. It returns the keys, by their variables.
func (e *entry) hide(args []string, secret func(key, value string) bool) map[string]string {
	keys := map[string]string{}
	for n := 1; n < len(args); n++ {
		key, value, _ := strings.Cut(args[n], "=")
		if args[n-1] != "--set" || strings.Contains(value, "${") || !secret(key, value) {
			continue
		}
		variable := "OPENMAS_" + strings.ToUpper(strings.Trim(notInVariable.ReplaceAllString(key, "_"), "_"))
		if key == "gateway.token" {
			variable = defaultTokenVar
		}
		args[n] = key + "=${env:" + variable + "}"
		if keys[variable] == "" {
			e.hidden = append(e.hidden, variable)
		}
		keys[variable] = key
	}
	return keys
}

var notInVariable = regexp.MustCompile(`[^A-Za-z0-9]+`)

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
			one = append(one, member{"headers", orderedObject{{"Authorization", "Bearer " + e.place(e.tokenVar)}}})
		}
	default:
		if typed {
			one = append(one, member{"type", "stdio"})
		}
		one = append(one, member{"command", e.argv[0]}, member{"args", e.argv[1:]})
		var env orderedObject
		for _, v := range e.variables() {
			env = append(env, member{v, e.place(v)})
		}
		if len(env) > 0 {
			one = append(one, member{"env", env})
		}
	}
	if e.client != "vscode" {
		return orderedObject{{"mcpServers", orderedObject{{e.name, one}}}}
	}
	out := orderedObject{{"servers", orderedObject{{e.name, one}}}}
	var inputs []orderedObject
	for _, v := range e.variables() {
		what := v
		if v == e.tokenVar {
			what = "The token"
		}
		inputs = append(inputs, orderedObject{{"type", "promptString"}, {"id", inputID(v)},
			{"description", what + " of " + e.name}, {"password", true}})
	}
	if len(inputs) > 0 {
		out = append(out, member{"inputs", inputs})
	}
	return out
}
