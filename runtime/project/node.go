package project

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing wrong at one place. Path is empty for the document itself.
type Problem struct {
	Pos     Position
	Path    []string
	Message string // without the position
	Hint    string // what to do about it, or ""
	AtKey   bool   // it is the key itself that is wrong, not its value
}

// nodeKind is what a Node holds.
type nodeKind uint8

// The kinds of Node.
const (
	Null nodeKind = iota
	Scalar
	List
	Map
)

// Node is a value of a project file together with its place. Only the field that
// fits Kind is set. A Node is not safe for concurrent changes.
type Node struct {
	Kind   nodeKind
	Key    Position // of its key, when it is a field of a map
	Pos    Position // of the value itself
	Value  any      // Scalar: bool, int64, uint64, float64 or string
	Masked string   // a string that holds a secret: the text that may be shown
	Items  []*Node  // List
	Keys   []string // Map: the keys in the order they were written
	Fields map[string]*Node
}

// NewMap returns an empty map that stands at pos, its key at key.
func NewMap(key, pos Position) *Node {
	return &Node{Kind: Map, Key: key, Pos: pos, Fields: map[string]*Node{}}
}

// Put sets a field of a map, at the end when it is new.
func (n *Node) Put(key string, child *Node) {
	if _, ok := n.Fields[key]; !ok {
		n.Keys = append(n.Keys, key)
	}
	n.Fields[key] = child
}

// Remove takes a field out of a map.
func (n *Node) Remove(key string) {
	if _, ok := n.Fields[key]; ok {
		delete(n.Fields, key)
		n.Keys = slices.DeleteFunc(n.Keys, func(k string) bool { return k == key })
	}
}

// At returns the node at a path, or nil. An item of a list is "[0]", "[1]", ….
func (n *Node) At(path ...string) *Node {
	for _, seg := range path {
		if n == nil {
			return nil
		}
		switch n.Kind {
		case Map:
			n = n.Fields[seg]
		case List:
			i, ok := itemIndex(seg)
			if !ok || i >= len(n.Items) {
				return nil
			}
			n = n.Items[i]
		default:
			return nil
		}
	}
	return n
}

// Place is where a reader should look for the node: a map's key, or the value itself.
func (n *Node) Place() Position {
	if n.Kind == Map && n.Key != (Position{}) {
		return n.Key
	}
	return n.Pos
}

// PlaceOf is where a reader should look for a problem: its path, else the nearest node around it.
func (n *Node) PlaceOf(p Problem) Position {
	for i := len(p.Path); i > 0; i-- {
		at := n.At(p.Path[:i]...)
		switch {
		case at == nil:
			continue
		case p.AtKey && i == len(p.Path):
			return at.Key
		}
		return at.Place()
	}
	return Position{}
}

// Plain returns the tree as map[string]any, []any and scalars. Nothing is shared with the Node.
func (n *Node) Plain() any {
	switch n.Kind {
	case Scalar:
		return n.Value
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Plain()
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Fields))
		for k, child := range n.Fields {
			out[k] = child.Plain()
		}
		return out
	}
	return nil
}

// Describe says what a plain value is, without its content when that is text.
func Describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case bool:
		return fmt.Sprintf("%t", v)
	case string:
		return "text"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	}
	return fmt.Sprintf("the number %v", v)
}

// Merge lays a later layer over n: maps are merged, everything else is replaced,
// null takes a key away. A map keeps the place where it was written first.
// MergeValues does the same to plain values.
func (n *Node) Merge(layer *Node) {
	for _, key := range layer.Keys {
		child, have := layer.Fields[key], n.Fields[key]
		switch {
		case child.Kind == Null:
			n.Remove(key)
		case child.Kind == Map:
			if have == nil || have.Kind != Map {
				have = NewMap(child.Key, child.Pos)
				n.Put(key, have)
			}
			have.Merge(child)
		default:
			n.Put(key, child)
		}
	}
}

// MergeValues lays src over dst as Node.Merge does. It never fails; the error suits koanf.
func MergeValues(src, dst map[string]any) error {
	for key, val := range src {
		switch v := val.(type) {
		case nil:
			delete(dst, key)
		case map[string]any:
			have, ok := dst[key].(map[string]any)
			if !ok {
				have = map[string]any{}
				dst[key] = have
			}
			if err := MergeValues(v, have); err != nil {
				return err
			}
		default:
			dst[key] = val
		}
	}
	return nil
}

// relocate gives the whole tree one position, for values that come from no file.
func (n *Node) relocate(pos Position) {
	n.Key, n.Pos = pos, pos
	for _, item := range n.Items {
		item.relocate(pos)
	}
	for _, child := range n.Fields {
		child.relocate(pos)
	}
}

var (
	bareSegment = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	itemSegment = regexp.MustCompile(`^\[(\d{1,9})\]$`)
)

// Item is the path segment of a list's item.
func Item(i int) string { return "[" + strconv.Itoa(i) + "]" }

func itemIndex(seg string) (int, bool) {
	m := itemSegment.FindStringSubmatch(seg)
	if m == nil {
		return 0, false
	}
	i, err := strconv.Atoi(m[1])
	return i, err == nil
}

// JoinPath writes a path as a user would: agents.search.tools."docs.search".timeout, command[0].
func JoinPath(path []string) string {
	var b strings.Builder
	for i, seg := range path {
		_, item := itemIndex(seg)
		if i > 0 && !item {
			b.WriteByte('.')
		}
		if item || bareSegment.MatchString(seg) {
			b.WriteString(seg)
		} else {
			b.WriteString(strconv.Quote(seg))
		}
	}
	return b.String()
}

// child returns path plus seg in fresh memory, so that siblings never share a tail.
func child(path []string, seg string) []string {
	return append(slices.Clip(slices.Clone(path)), seg)
}

// SortProblems orders problems for a reader: files first, in the given order, by line
// and column, then environment variables and --set, then the rest. Doubles are removed.
func SortProblems(problems []Problem, files []string) []Problem {
	rank := func(p Position) int {
		switch {
		case p.File != "":
			return slices.Index(files, p.File)
		case p.Env != "":
			return len(files)
		case p.Set != "":
			return len(files) + 1
		}
		return len(files) + 2
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(rank(a.Pos), rank(b.Pos)),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Pos.Env+a.Pos.Set, b.Pos.Env+b.Pos.Set),
			slices.Compare(a.Path, b.Path),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(problems, func(a, b Problem) bool {
		return a.Pos == b.Pos && a.Message == b.Message
	})
}

func problemf(pos Position, path []string, format string, args ...any) Problem {
	return Problem{Pos: pos, Path: path, Message: fmt.Sprintf(format, args...)}
}
