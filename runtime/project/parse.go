package project

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
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
	// duplicates are reported below, with both places
	doc, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
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
