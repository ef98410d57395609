package project

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxDepth bounds the nesting of a document.
const maxDepth = 100

var errTooDeep = fmt.Errorf("nested more than %d levels deep", maxDepth)

// syntaxProblem turns the library's error into one line, at the place of the cause as far as that
// can be told.
func syntaxProblem(file string, data []byte, err error) *Error {
	p := &Error{Pos: Position{File: file}, Message: "not valid YAML: " + oneLine(err.Error())}
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return p
	}
	p.Pos.Line, p.Pos.Column = e.Mark.Line, e.Mark.Column
	p.Message = "not valid YAML: " + oneLine(e.Message)
	lines := strings.Split(string(data), "\n")
	anchor, isAlias := strings.CutPrefix(e.Message, "unknown anchor '")
	closing, inBrackets := strings.CutPrefix(e.Message, "did not find expected ',' or ")
	tab := tabIn(lines, e.Mark.Line)
	switch {
	case isAlias:
		anchor, _, _ = strings.Cut(anchor, "'")
		p.Message = fmt.Sprintf("no anchor &%s stands before this alias", anchor)
	case e.Message == errTooDeep.Error():
		p.Message = errTooDeep.Error()
	case tab > 0 && !inBrackets:
		p.Pos.Column, p.Message = tab, "not valid YAML: a tab indents the line"
		p.Hint = "YAML is indented with spaces, never with tabs: write two spaces in its place"
	case e.Message == "found character that cannot start any token":
		p.Hint = "quote a text that begins with a special character"
	case e.Message == "mapping values are not allowed in this context", e.Message == "did not find expected key":
		p.Hint = `check the indentation here and above, and quote a text that contains ": "`
	case inBrackets && quotable(lines, e.Mark.Line):
		p.Hint = `between { } and [ ] quote what has braces or brackets of its own: "${env:NAME}"`
	case inBrackets && unclosed(lines, e.ContextMark.Line, e.ContextMark.Column):
		closing = strings.Trim(closing, "'")
		p.Pos.Line, p.Pos.Column = e.ContextMark.Line, e.ContextMark.Column
		opens, what := "{", "mapping"
		if closing == "]" {
			opens, what = "[", "list"
		}
		p.Message = fmt.Sprintf("not valid YAML: this %s is never closed", opens)
		p.Hint = fmt.Sprintf("write %s where the %s ends", closing, what)
	case e.ContextMark.Line > 0 && e.ContextMark.Line < e.Mark.Line:
		p.Hint = fmt.Sprintf("it began in line %d, column %d", e.ContextMark.Line, e.ContextMark.Column)
	}
	return p
}

// quotable reports whether a line, counted from 1, refers to a variable without quotes.
func quotable(lines []string, line int) bool {
	return line > 0 && line <= len(lines) && strings.Contains(lines[line-1], " ${")
}

// tabIn is the column of the first tab that a line, counted from 1, is indented with; 0: there is
// none.
func tabIn(lines []string, line int) int {
	if line < 1 || line > len(lines) {
		return 0
	}
	text := lines[line-1]
	indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	return strings.IndexByte(indent, '\t') + 1
}

// unclosed reports whether the bracket at a place is open to the end of the text.
func unclosed(lines []string, line, column int) bool {
	if line < 1 || line > len(lines) {
		return false
	}
	first := []rune(lines[line-1])
	text := string(first[min(max(column-1, 0), len(first)):]) + "\n" + strings.Join(lines[line:], "\n")
	depth, quote, before, comment := 0, rune(0), ' ', false
	for _, c := range text {
		switch {
		case comment:
			comment = c != '\n'
		case quote != 0:
			if c == quote && (c == '\'' || before != '\\') {
				quote = 0
			}
		case c == '#' && (before == ' ' || before == '\n'):
			comment = true
		case (c == '"' || c == '\'') && strings.ContainsRune(" \n[{,:", before):
			quote = c
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			if depth--; depth == 0 {
				return false
			}
		}
		before = c
	}
	return true
}
