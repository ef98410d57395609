package project

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// EnvPrefix starts the name of every environment variable that sets a key.
const EnvPrefix = "OPENMAS_CONFIG__"

// SplitSet cuts the argument of --set into the path and the text of the value. Keys
// are separated by dots; one that contains a dot stands in double quotes, in which
// \" and \\ are escapes.
func SplitSet(arg string) (path []string, value string, err error) {
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

// SplitEnv cuts the name of an environment variable into a path at every double
// underscore. ok is false for a name without the prefix.
func SplitEnv(name string) (path []string, ok bool, err error) {
	rest, ok := strings.CutPrefix(name, EnvPrefix)
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

// Assign builds a layer that sets one path. Where t, the type the path leads to, is
// text the value is taken as it is, unless it is a quoted YAML string; elsewhere it
// is read as YAML. null, ~ and an empty value that is not text reset the key.
func Assign(path []string, value string, t reflect.Type, pos Position) (*Node, []Problem) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	leaf, problems := parseValue(value, t != nil && t.Kind() == reflect.String)
	for i := range problems {
		problems[i].Pos, problems[i].Path = pos, path
		problems[i].Message = JoinPath(path) + ": the value cannot be read: " + problems[i].Message
	}
	if leaf == nil || len(problems) > 0 {
		return NewMap(pos, pos), problems
	}
	for i := len(path) - 1; i >= 0; i-- {
		m := NewMap(pos, pos)
		m.Put(path[i], leaf)
		leaf = m
	}
	leaf.relocate(pos)
	return leaf, nil
}

func parseValue(value string, text bool) (*Node, []Problem) {
	if value == "null" || value == "~" {
		return &Node{Kind: Null}, nil
	}
	if text {
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			n, problems := Parse("", []byte(value))
			if _, ok := n.stringValue(); ok && len(problems) == 0 {
				return n, nil
			}
		}
		return &Node{Kind: Scalar, Value: value}, nil
	}
	return Parse("", []byte(value))
}

func (n *Node) stringValue() (string, bool) {
	if n == nil || n.Kind != Scalar {
		return "", false
	}
	s, ok := n.Value.(string)
	return s, ok
}
