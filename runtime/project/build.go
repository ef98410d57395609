package project

import (
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// builder turns the library's syntax tree into Nodes.
type builder struct {
	file     string
	problems []Problem
	anchors  map[string]ast.Node
	open     map[string]bool // anchors being written out: an alias to one of them is a loop
	nodes    int
}

func (b *builder) problem(pos Position, path []string, format string, args ...any) {
	b.problems = append(b.problems, problemf(pos, path, format, args...))
}

func (b *builder) pos(n ast.Node) Position {
	switch v := n.(type) {
	case *ast.MappingNode: // a block's own token is the colon of its first line
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return b.pos(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return b.pos(v.Key)
	}
	p := Position{File: b.file}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		p.Line, p.Column = tk.Position.Line, tk.Position.Column
	}
	return p
}

// value builds one node. It returns nil after a problem.
func (b *builder) value(path []string, n ast.Node, depth int) *Node {
	switch b.nodes++; {
	case b.nodes > maxNodes:
		if b.nodes == maxNodes+1 { // say it once
			b.problem(b.pos(n), path, "too large once its aliases are written out")
		}
		return nil
	case depth > maxDepth:
		b.problem(b.pos(n), path, "nested more than %d levels deep", maxDepth)
		return nil
	}
	pos := b.pos(n)
	switch v := n.(type) {
	case *ast.NullNode:
		return &Node{Kind: Null, Pos: pos}
	case *ast.BoolNode:
		return &Node{Kind: Scalar, Pos: pos, Value: v.Value}
	case *ast.IntegerNode:
		switch i := v.Value.(type) {
		case int64, uint64:
			if u, ok := i.(uint64); ok && u <= 1<<63-1 {
				i = int64(u) // the library calls every positive number unsigned
			}
			return &Node{Kind: Scalar, Pos: pos, Value: i}
		}
		b.problem(pos, path, "the number %s is too large", v.Token.Value)
		return nil
	case *ast.FloatNode:
		return &Node{Kind: Scalar, Pos: pos, Value: v.Value}
	case *ast.InfinityNode, *ast.NanNode:
		b.problem(pos, path, "%s is not a number that can be used here", n.GetToken().Value)
		return nil
	case *ast.StringNode:
		return &Node{Kind: Scalar, Pos: pos, Value: v.Value}
	case *ast.LiteralNode:
		return &Node{Kind: Scalar, Pos: pos, Value: v.Value.Value}
	case *ast.TagNode:
		return b.tagged(path, v, depth)
	case *ast.AnchorNode:
		name := v.Name.GetToken().Value
		b.anchors[name] = v.Value
		b.open[name] = true
		defer delete(b.open, name)
		return b.value(path, v.Value, depth+1)
	case *ast.AliasNode:
		out := b.alias(path, v, depth)
		if out != nil && out.Kind == Scalar {
			out.Pos = pos // an edit would be made where the alias is used
		}
		return out
	case *ast.SequenceNode:
		out := &Node{Kind: List, Pos: pos, Items: make([]*Node, 0, len(v.Values))}
		for i, item := range v.Values {
			if c := b.value(child(path, Item(i)), item, depth+1); c != nil {
				out.Items = append(out.Items, c)
			}
		}
		return out
	case *ast.MappingNode:
		return b.mapping(path, pos, v.Values, depth)
	case *ast.MappingValueNode:
		return b.mapping(path, pos, []*ast.MappingValueNode{v}, depth)
	}
	b.problem(pos, path, "unexpected YAML: %s", n.Type())
	return nil
}

// tagged accepts !!str, which keeps a number as text, and refuses the rest.
func (b *builder) tagged(path []string, v *ast.TagNode, depth int) *Node {
	if tag := v.Start.Value; tag != "!!str" {
		b.problem(b.pos(v), path, "the YAML tag %s is not supported; only !!str is", tag)
		return nil
	}
	out := b.value(path, v.Value, depth+1)
	if out == nil || out.Kind == Map || out.Kind == List {
		return out
	}
	if _, ok := out.Value.(string); !ok {
		out.Kind, out.Value = Scalar, v.Value.GetToken().Value
	}
	return out
}

func (b *builder) alias(path []string, v *ast.AliasNode, depth int) *Node {
	name := v.Value.GetToken().Value
	target, ok := b.anchors[name]
	switch {
	case !ok:
		b.problem(b.pos(v), path, "no anchor &%s stands before this alias", name)
		return nil
	case b.open[name]:
		b.problem(b.pos(v), path, "the alias *%s contains itself", name)
		return nil
	}
	b.open[name] = true
	defer delete(b.open, name)
	return b.value(path, target, depth+1)
}

// mapping builds a map. Keys that are written out win over merged ones (<<), wherever they stand.
func (b *builder) mapping(path []string, pos Position, values []*ast.MappingValueNode, depth int) *Node {
	out := NewMap(Position{}, pos)
	var merges []ast.Node
	for _, kv := range values {
		keyPos := b.pos(kv.Key)
		if kv.Key.IsMergeKey() {
			merges = append(merges, kv.Value)
			continue
		}
		key, ok := b.key(path, kv.Key)
		if !ok {
			continue
		}
		if first := out.Fields[key]; first != nil {
			b.duplicate(path, key, keyPos, first.Key)
			continue
		}
		c := b.value(child(path, key), kv.Value, depth+1)
		if c == nil {
			continue
		}
		if c.Key = keyPos; c.Kind == Null {
			c.Pos = keyPos
		}
		out.Put(key, c)
	}
	for _, m := range merges {
		b.merge(path, out, m, depth)
	}
	return out
}

func (b *builder) duplicate(path []string, key string, second, first Position) {
	if len(path) == 1 && path[0] == "agents" {
		b.problem(second, child(path, key), "two agents are named %q; the other is at line %d", key, first.Line)
		return
	}
	where := ""
	if len(path) > 0 {
		where = " in " + JoinPath(path)
	}
	b.problem(second, child(path, key), "the key %q appears twice%s; first at line %d", key, where, first.Line)
}

// merge adds the fields of a merged map, or of a list of them, that out does not have.
func (b *builder) merge(path []string, out *Node, n ast.Node, depth int) {
	src := b.value(path, n, depth+1)
	if src == nil {
		return
	}
	from := []*Node{src}
	if src.Kind == List {
		from = src.Items
	}
	for _, m := range from {
		if m.Kind != Map {
			b.problem(b.pos(n), path, "<< merges mappings only")
			return
		}
		for _, key := range m.Keys {
			if out.Fields[key] == nil {
				out.Put(key, m.Fields[key])
			}
		}
	}
}

// key reads a map's key as text, whatever scalar it is.
func (b *builder) key(path []string, n ast.MapKeyNode) (string, bool) {
	var text string
	switch k := n.(type) {
	case *ast.StringNode:
		text = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
		text = n.GetToken().Value
	case *ast.MappingKeyNode:
		if inner, ok := k.Value.(ast.MapKeyNode); ok {
			return b.key(path, inner)
		}
		b.problem(b.pos(n), path, "a key must be plain text")
		return "", false
	default:
		b.problem(b.pos(n), path, "a key must be plain text")
		return "", false
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		b.problem(b.pos(n), path, "the key %q contains a control character", text)
		return "", false
	}
	return text, true
}
