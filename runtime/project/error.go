package project

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// Position returns where the value at a path was written; the zero Position when it
// is a default. An item of a list is "[0]", "[1]" and so on. For a mapping it is the
// place of its key.
func (c *Config) Position(keys ...string) Position {
	if c.written == nil {
		return Position{}
	}
	return c.written.position(keys...)
}

// Errorf returns an Error about the value at a path. A value that nobody wrote
// is placed at the nearest mapping around it.
func (c *Config) Errorf(keys []string, format string, args ...any) *Error {
	return &Error{Pos: c.near(keys), Key: keys, Message: c.Redact(fmt.Sprintf(format, args...))}
}

func (c *Config) near(keys []string) Position {
	if c.written == nil {
		return Position{}
	}
	for n := len(keys); n > 0; n-- {
		if p := c.Position(keys[:n]...); p != (Position{}) {
			return p
		}
	}
	return Position{File: c.File}
}

// Locate places the problems that Fill found in the block at a path: every Error
// in err comes back with its position and full key. Any other error becomes one about
// the path as a whole. Locate of nil is nil.
func (c *Config) Locate(keys []string, err error) error {
	if err == nil {
		return nil
	}
	var many Errors
	var one *Error
	switch {
	case errors.As(err, &many):
	case errors.As(err, &one):
		many = Errors{one}
	default:
		return Errors{c.Errorf(keys, "%s: %v", joinPath(keys), err)}
	}
	out := make(Errors, len(many))
	for i, e := range many {
		full := append(append([]string{}, keys...), e.Key...)
		at, message := keys, e.Message
		if rest, ok := strings.CutPrefix(message, joinPath(e.Key)+": "); ok {
			at, message = full, rest
		}
		out[i] = c.Errorf(full, "%s: %s", joinPath(at), message)
		out[i].Hint = c.Redact(e.Hint)
	}
	slices.SortStableFunc(out, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
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
