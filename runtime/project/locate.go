package project

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

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

// leaf is what stands at a path, if it is a scalar or a list that somebody wrote.
func (c *Config) leaf(keys []string) *leaf {
	if c.written == nil {
		return nil
	}
	l, _ := c.written.at(keys...).(*leaf)
	return l
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
		rest, ofValue := strings.CutPrefix(message, joinPath(e.Key)+": ")
		if ofValue {
			at, message = full, rest
		}
		out[i] = c.Errorf(full, "%s: %s", joinPath(at), message)
		out[i].Hint = c.Redact(e.Hint)
		if l := c.leaf(full); !ofValue && l != nil && l.key != (Position{}) {
			out[i].Pos = l.key // it is the key that is wrong
		}
	}
	slices.SortStableFunc(out, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return out
}
