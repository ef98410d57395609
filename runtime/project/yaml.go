package project

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Bounds on one document, so that a hostile or broken file costs little.
const (
	maxBytes    = 4 << 20 // of a file
	maxProblems = 10_000  // that are noted
	maxExpanded = 1 << 18 // values that aliases write out again: a short file can multiply itself
)

// limits are the parser's.
type limits struct{}

func (limits) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxDepth {
		return errTooDeep
	}
	return nil
}

func (limits) CheckAlias(int, int) error { return nil } // see maxExpanded

// parse reads one YAML document into values with their places: a *leaf or a map[string]any. An
// empty document is nil. When there are problems the value lacks what is wrong.
func (t *tree) parse(file string, data []byte) (v any, problems []*Error) {
	at := func(line, column int) Position { return Position{File: file, Line: line, Column: column} }
	if len(data) > maxBytes {
		return nil, []*Error{{Pos: at(0, 0), Message: fmt.Sprintf("the file is larger than %d MiB", maxBytes>>20)}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.HasPrefix(data, []byte("%YAML 1.")) {
		data = slices.Concat([]byte("#"), data[1:]) // the parser knows 1.1 by name, and reads 1.2 alike
	}
	if !utf8.Valid(data) {
		return nil, []*Error{{Pos: at(invalidLine(data), 1), Message: "not valid YAML: the text is not UTF-8"}}
	}
	documents, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(limits{}), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, []*Error{syntaxProblem(file, data, err)}
	}
	b := &builder{tree: t, file: file, open: map[*yaml.Node]bool{}}
	var first, second yaml.Node
	switch err := documents.Load(&first); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, []*Error{syntaxProblem(file, data, err)}
	}
	if err := documents.Load(&second); err == nil {
		b.problem(&second, "a second document starts here; a project file is one document")
	} else if !errors.Is(err, io.EOF) {
		b.problems = append(b.problems, syntaxProblem(file, data, err))
	}
	v = b.value(first.Content[0])
	if b.expanded > maxExpanded {
		return nil, b.problems
	}
	return v, b.problems
}

// invalidLine is the first line that is not UTF-8.
func invalidLine(data []byte) int {
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
	return line
}

// A builder turns the library's nodes into leaves and maps.
type builder struct {
	tree     *tree
	file     string
	path     []string
	problems []*Error
	open     map[*yaml.Node]bool // what is being written out: an alias to one of them is a loop
	expanded int                 // values below an alias
	aliases  int                 // how many we are in
}

func (b *builder) problem(n *yaml.Node, format string, args ...any) {
	for n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, &Error{Pos: b.pos(n), Key: slices.Clone(b.path),
			Message: fmt.Sprintf(format, args...)})
	}
}

func (b *builder) pos(n *yaml.Node) Position {
	return Position{File: b.file, Line: n.Line, Column: n.Column}
}

// under builds a value one level deeper.
func (b *builder) under(seg string, n *yaml.Node) any {
	b.path = append(b.path, seg)
	defer func() { b.path = b.path[:len(b.path)-1] }()
	return b.value(n)
}

// value builds one value: a *leaf, a map[string]any, or nil after a problem.
func (b *builder) value(n *yaml.Node) any {
	if b.aliases > 0 {
		if b.expanded++; b.expanded > maxExpanded {
			if b.expanded == maxExpanded+1 { // say it once
				b.problem(n, "too large once its aliases are written out")
			}
			return nil
		}
	}
	if len(b.path) > maxDepth {
		b.problem(n, "%v", errTooDeep)
		return nil
	}
	switch n.Kind {
	case yaml.AliasNode:
		return b.alias(n)
	case yaml.ScalarNode:
		return b.scalar(n)
	case yaml.SequenceNode, yaml.MappingNode:
		if n.Style&yaml.TaggedStyle != 0 {
			b.tagProblem(n)
			return nil
		}
		b.open[n] = true
		defer delete(b.open, n)
		if n.Kind == yaml.MappingNode {
			return b.mapping(n)
		}
		items := make([]any, 0, len(n.Content))
		for i, c := range n.Content {
			if v := b.under(item(i), c); v != nil {
				items = append(items, v)
			}
		}
		return &leaf{pos: b.pos(n), value: items}
	}
	b.problem(n, "unexpected YAML")
	return nil
}

func (b *builder) tagProblem(n *yaml.Node) {
	b.problem(n, "the YAML tag %s is not supported; only !!str is", n.Tag)
}

func (b *builder) alias(n *yaml.Node) any {
	if b.open[n.Alias] {
		b.problem(n, "the alias *%s contains itself", n.Value)
		return nil
	}
	b.aliases++
	defer func() { b.aliases-- }()
	v := b.value(n.Alias)
	if l, ok := v.(*leaf); ok {
		l.pos = b.pos(n) // an edit would be made where the alias is used
	}
	return v
}

func (b *builder) scalar(n *yaml.Node) any {
	l := &leaf{pos: b.pos(n), value: n.Value}
	switch {
	case n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != "!!str":
		b.tagProblem(n)
		return nil
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return l
	}
	l.literal = n.Value
	digits := strings.ReplaceAll(n.Value, "_", "")
	switch n.ShortTag() {
	case "!!null":
		l.value = nil
	case "!!bool":
		l.value = n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
	case "!!int":
		if i, err := strconv.ParseInt(digits, 0, 64); err == nil {
			l.value = i
		} else if u, err := strconv.ParseUint(digits, 0, 64); err == nil {
			l.value = u
		}
	case "!!float":
		f, err := strconv.ParseFloat(digits, 64)
		if err != nil { // .inf, .nan, or out of range
			b.problem(n, "%s is not a number that can be used here", n.Value)
			return nil
		}
		l.value = f
	}
	return l
}

// mapping builds a map. Keys that are written out win over merged ones (<<), wherever they stand.
func (b *builder) mapping(n *yaml.Node) map[string]any {
	out, places := make(map[string]any, len(n.Content)/2), make(map[string]Position, len(n.Content)/2)
	b.tree.found(b.path, b.pos(n))
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name, ok := b.key(key)
		if !ok {
			continue
		}
		if first, twice := places[name]; twice {
			b.duplicate(name, key, first)
			continue
		}
		places[name] = b.pos(key)
		if value.Kind == yaml.MappingNode || value.Kind == yaml.AliasNode && value.Alias.Kind == yaml.MappingNode {
			b.tree.found(below(b.path, name), b.pos(key))
		}
		switch v := b.under(name, value).(type) {
		case *leaf:
			if v.key = b.pos(key); v.value == nil {
				v.pos = v.key
			}
			out[name] = v
		case map[string]any:
			out[name] = v
		}
	}
	for _, m := range merges {
		b.merge(out, places, m)
	}
	return out
}

func (b *builder) duplicate(name string, key *yaml.Node, first Position) {
	path := b.path
	b.path = below(path, name)
	defer func() { b.path = path }()
	if len(path) == 1 && path[0] == "agents" {
		b.problem(key, "two agents are named %q; the other is at line %d", name, first.Line)
		return
	}
	where := ""
	if len(path) > 0 {
		where = " in " + joinPath(path)
	}
	b.problem(key, "the key %q appears twice%s; first at line %d", name, where, first.Line)
}

// merge adds the keys of a merged map, or of a list of them, that out does not have.
func (b *builder) merge(out map[string]any, written map[string]Position, n *yaml.Node) {
	from := []any{b.value(n)}
	if l, ok := from[0].(*leaf); ok {
		from, _ = l.value.([]any)
		if from == nil {
			from = []any{l}
		}
	}
	for _, v := range from {
		m, ok := v.(map[string]any)
		if !ok && v != nil {
			b.problem(n, "<< merges mappings only")
			return
		}
		for name, v := range m {
			if _, ok := written[name]; ok || out[name] != nil {
				continue
			}
			out[name] = v
		}
	}
}

// key reads a map's key as text, whatever scalar it is.
func (b *builder) key(n *yaml.Node) (string, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		b.problem(n, "a key must be plain text")
		return "", false
	}
	if strings.ContainsFunc(n.Value, unicode.IsControl) {
		b.problem(n, "the key %q contains a control character", n.Value)
		return "", false
	}
	return n.Value, true
}
