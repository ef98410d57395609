package projectfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on one document, so that a hostile or broken file costs little.
const (
	MaxBytes   = 4 << 20 // of a file
	maxNodes   = 1 << 19 // after aliases are written out: anchors can multiply a short file
	maxDepth   = 100     // of nesting; the YAML parser recurses
	maxAnchors = 10_000  // quadratic time again
	maxKeys    = 1 << 15 // of one block mapping; the YAML parser takes quadratic time and a stack frame for each
)

// Parse reads one YAML document. An empty document is a Null node. It never panics;
// when it reports a problem the node may be nil or lack what was wrong.
func Parse(file string, data []byte) (n *Node, problems []Problem) {
	at := func(line, column int) Position { return Position{File: file, Line: line, Column: column} }
	defer func() {
		if r := recover(); r != nil { // the YAML library has panicked on odd input before
			n, problems = nil, []Problem{problemf(at(0, 0), nil, "not valid YAML: the parser failed: %v", r)}
		}
	}()
	if len(data) > MaxBytes {
		return nil, []Problem{problemf(at(0, 0), nil, "the file is larger than %d MiB", MaxBytes>>20)}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		line := 1
		for len(data) > 0 {
			r, size := utf8.DecodeRune(data)
			if r == utf8.RuneError && size == 1 {
				break
			}
			if r == '\n' {
				line++
			}
			data = data[size:]
		}
		return nil, []Problem{problemf(at(line, 1), nil, "not valid YAML: the text is not UTF-8")}
	}
	tokens := lexer.Tokenize(string(data))
	if tk, why := tooMuch(tokens); tk != nil {
		return nil, []Problem{problemf(at(tk.Position.Line, tk.Position.Column), nil, "%s", why)}
	}
	doc, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are reported below, with both places
	if err != nil {
		return nil, []Problem{syntaxProblem(file, err)}
	}
	b := &builder{file: file, anchors: map[string]ast.Node{}, open: map[string]bool{}}
	for _, d := range doc.Docs {
		if d.Body == nil {
			continue
		}
		if _, ok := d.Body.(*ast.DirectiveNode); ok {
			continue
		}
		if n != nil {
			b.problem(b.pos(d.Body), nil, "a second document starts here; a project file is one document")
			break
		}
		n = b.value(nil, d.Body, 0)
	}
	switch {
	case b.nodes > maxNodes:
		return nil, b.problems
	case n == nil:
		n = &Node{Kind: Null, Pos: at(1, 1)}
	}
	return n, b.problems
}

// syntaxProblem turns the library's error, which draws a picture, into one line.
func syntaxProblem(file string, err error) Problem {
	p := Problem{Pos: Position{File: file}, Message: "not valid YAML: " + firstLine(err.Error())}
	var ye yaml.Error
	if !errors.As(err, &ye) {
		return p
	}
	msg := strings.ReplaceAll(ye.GetMessage(), "\t", `\t`)
	p.Message = "not valid YAML: " + firstLine(msg)
	if tk := ye.GetToken(); tk != nil && tk.Position != nil {
		p.Pos.Line, p.Pos.Column = tk.Position.Line, tk.Position.Column
	}
	switch {
	case strings.Contains(msg, "tab") || strings.Contains(msg, `\t`):
		p.Hint = "YAML is indented with spaces, never with tabs"
	case strings.Contains(msg, "not allowed in this context"), strings.Contains(msg, "non-map value"):
		p.Hint = `check the indentation here and below, and quote a text that contains ": "`
	}
	return p
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// tooMuch finds what the parser should not be sent into: brackets open too deep, a line
// like "- - - -" or "a: a: a:" that nests without them, a block with too many keys.
func tooMuch(tokens token.Tokens) (*token.Token, string) {
	open, line, onLine, anchors := 0, 0, 0, 0
	keys := map[int]int{} // of blocks, by the column of their indentation
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, onLine = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			open++
		case token.MappingEndType, token.SequenceEndType:
			open--
		case token.MappingValueType:
			if open == 0 {
				onLine++
				keys[tk.Position.IndentNum]++
			}
			if keys[tk.Position.IndentNum] > maxKeys {
				return tk, fmt.Sprintf("more than %d keys at one level", maxKeys)
			}
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if open == 0 {
				onLine++
			}
			if tk.Type == token.AnchorType {
				anchors++
			}
		}
		if anchors > maxAnchors {
			return tk, fmt.Sprintf("more than %d anchors", maxAnchors)
		}
		if open > maxDepth || onLine > maxDepth {
			return tk, fmt.Sprintf("nested more than %d levels deep", maxDepth)
		}
	}
	return nil, ""
}

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
