package project

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Position says where a value of a Config was written: in a file, an environment
// variable or a --set flag. The zero Position is a default, or a Config made in Go.
type Position struct {
	File         string // as it was named to Load
	Line, Column int    // from 1; 0 when the whole file is meant
	Env          string // the name of the environment variable
	Set          string // the key given to --set
}

// String writes file:line:column, the variable, the flag, or "default".
func (p Position) String() string {
	switch {
	case p.File != "" && p.Line > 0:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	case p.File != "":
		return p.File
	case p.Env != "":
		return "environment variable " + p.Env
	case p.Set != "":
		return "--set " + p.Set
	}
	return "default"
}

// Error is one thing wrong with a configuration, for the person who wrote it.
type Error struct {
	Pos     Position
	Key     []string // the path of the key, if it is about one
	Message string   // what is wrong, without the position
	Hint    string   // what to do about it, or ""
}

// Error is one line: the position, what is wrong, what to do.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Pos != (Position{}) {
		b.WriteString(e.Pos.String())
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Errors is everything wrong with a configuration, in the order of the file. It
// is never empty. errors.As finds each Error in it.
type Errors []*Error

// Error has one line per problem.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As the single problems.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// sorted orders problems for a reader: files first, in the given order, by line and column, then
// environment variables and --set, then the rest. Doubles are removed.
func sorted(problems []*Error, files []string) []*Error {
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
	slices.SortStableFunc(problems, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(rank(a.Pos), rank(b.Pos)),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Pos.Env+a.Pos.Set, b.Pos.Env+b.Pos.Set),
			slices.Compare(a.Key, b.Key),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(problems, func(a, b *Error) bool {
		return a.Pos == b.Pos && a.Message == b.Message
	})
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, unicode.IsControl), " ")
}
