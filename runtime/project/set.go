package project

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// envPrefix starts the name of every environment variable that sets a key.
const envPrefix = "OPENMAS_CONFIG__"

// splitSet cuts the argument of --set into the path and the text of the value. Keys
// are separated by dots; one that contains a dot stands in double quotes, in which
// \" and \\ are escapes.
func splitSet(arg string) (path []string, value string, err error) {
	rest := arg
	for {
		var seg string
		if strings.HasPrefix(rest, `"`) {
			quoted, qerr := strconv.QuotedPrefix(rest)
			if qerr != nil {
				return nil, "", fmt.Errorf("a quoted key is not closed")
			}
			if seg, err = strconv.Unquote(quoted); err != nil {
				return nil, "", fmt.Errorf("the quoted key %s: %w", quoted, err)
			}
			rest = rest[len(quoted):]
		} else {
			end := strings.IndexAny(rest, `.="`)
			if end < 0 {
				end = len(rest)
			}
			seg, rest = strings.TrimSpace(rest[:end]), rest[end:]
		}
		if seg == "" {
			return nil, "", fmt.Errorf("a key is empty")
		}
		if path = append(path, seg); rest == "" {
			return nil, "", fmt.Errorf("there is no = after the key")
		}
		switch rest[0] {
		case '=':
			return path, rest[1:], nil
		case '.':
			rest = rest[1:]
		default:
			return nil, "", fmt.Errorf("after %q there must be a dot or =", seg)
		}
	}
}

// splitEnv cuts the name of an environment variable into a path at every double
// underscore. ok is false for a name without the prefix.
func splitEnv(name string) (path []string, ok bool, err error) {
	rest, ok := strings.CutPrefix(name, envPrefix)
	if !ok {
		return nil, false, nil
	}
	path = strings.Split(rest, "__")
	for _, seg := range path {
		if seg == "" {
			return nil, true, fmt.Errorf("a key is empty; keys are separated by exactly two underscores")
		}
	}
	return path, true, nil
}

// assign builds a layer that sets one path. Where t, the type that the path leads to, is text the
// value is taken as it is, unless it is a quoted YAML string; elsewhere it is read as YAML. null, ~
// and an empty value that is not text reset the key.
func (t *tree) assign(path []string, value string, typ reflect.Type, pos Position) (map[string]any, []*Error) {
	for typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	v, problems := t.setting(value, typ != nil && typ.Kind() == reflect.String)
	if len(problems) > 0 {
		for _, p := range problems {
			p.Pos, p.Key = pos, path
			p.Message = joinPath(path) + ": the value cannot be read: " + p.Message
		}
		return nil, problems
	}
	t.relocate(path, v, pos)
	for i := len(path) - 1; i > 0; i-- {
		v = map[string]any{path[i]: v}
	}
	for i := range path[:len(path)-1] {
		t.found(path[:i+1], pos)
	}
	return map[string]any{path[0]: v}, nil
}

// setting reads the value of a variable or a flag.
func (t *tree) setting(text string, asText bool) (any, []*Error) {
	if text == "null" || text == "~" {
		return &leaf{}, nil
	}
	scratch := newTree()
	if !asText {
		v, problems := scratch.parse("", []byte(text))
		if v == nil && len(problems) == 0 {
			v = &leaf{}
		}
		return v, problems
	}
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
		v, problems := scratch.parse("", []byte(text))
		if l, ok := v.(*leaf); ok && len(problems) == 0 {
			if _, ok := l.value.(string); ok {
				return l, nil
			}
		}
	}
	return &leaf{value: text}, nil
}

// relocate gives a value that comes from no file one position.
func (t *tree) relocate(path []string, v any, pos Position) {
	switch v := v.(type) {
	case *leaf:
		v.key, v.pos, v.reset = pos, pos, v.value == nil
		items, _ := v.value.([]any)
		for i, c := range items {
			t.relocate(below(path, item(i)), c, pos)
		}
	case map[string]any:
		t.found(path, pos)
		for name, c := range v {
			t.relocate(below(path, name), c, pos)
		}
	}
}
