// Package multipleof checks multipleOf of JSON schemas as people count: 0.3 is a multiple of 0.1.
// jsonschema-go divides binary fractions, where it is none.
package multipleof

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// deepest bounds how far a schema is walked.
const deepest = 64

// Take takes multipleOf out of s where it is a fraction and surely counts: in properties and items,
// and not in what only may apply, such as anyOf. The function that it returns checks it there, in a
// value of JSON that fits the rest of s; nil: there is nothing to check. s must not be used by
// others meanwhile.
func Take(s *jsonschema.Schema) func(v any) error {
	n := take(s, 0)
	if n == nil {
		return nil
	}
	return func(v any) error { return n.check("", v) }
}

// A node is what there is to check in a value and below it.
type node struct {
	step       *big.Rat // nil: any number will do
	text       string   // of step
	members    map[string]*node
	others     *node // of members that have no node and no schema of their own
	known      map[string]*jsonschema.Schema
	first      []*node // the first items
	items      *node   // the others
	everywhere []*node // allOf
}

func take(s *jsonschema.Schema, depth int) *node {
	if s == nil || depth > deepest {
		return nil
	}
	n := &node{known: s.Properties}
	if m := s.MultipleOf; m != nil && *m > 0 && *m != math.Trunc(*m) {
		n.step, n.text = rational(*m)
		s.MultipleOf = nil
	}
	for name, p := range s.Properties {
		if inner := take(p, depth+1); inner != nil {
			if n.members == nil {
				n.members = map[string]*node{}
			}
			n.members[name] = inner
		}
	}
	if len(s.PatternProperties) == 0 {
		n.others = take(s.AdditionalProperties, depth+1)
	}
	for _, p := range s.PrefixItems {
		n.first = append(n.first, take(p, depth+1))
	}
	n.items = take(s.Items, depth+1)
	for _, p := range s.AllOf {
		if inner := take(p, depth+1); inner != nil {
			n.everywhere = append(n.everywhere, inner)
		}
	}
	if n.step == nil && n.members == nil && n.others == nil && n.items == nil && len(n.everywhere) == 0 &&
		!slices.ContainsFunc(n.first, func(f *node) bool { return f != nil }) {
		return nil
	}
	return n
}

// check walks a value. path is the place in the schema, as the library has it.
func (n *node) check(path string, v any) error {
	if n == nil {
		return nil
	}
	for _, all := range n.everywhere {
		if err := all.check(path, v); err != nil {
			return err
		}
	}
	switch v := v.(type) {
	case float64:
		if got, text := rational(v); n.step != nil && !new(big.Rat).Quo(got, n.step).IsInt() {
			return fmt.Errorf("validating %s: multipleOf: %s is not a multiple of %s", path, text, n.text)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			inner, place := n.members[name], "/properties/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
			if _, known := n.known[name]; !known {
				inner, place = n.others, "/additionalProperties"
			}
			if err := inner.check(path+place, v[name]); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range v {
			inner, place := n.items, "/items"
			if i < len(n.first) {
				inner, place = n.first[i], fmt.Sprintf("/prefixItems/%d", i)
			}
			if err := inner.check(path+place, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// rational is a number as it is written in decimals.
func rational(f float64) (*big.Rat, string) {
	text := strconv.FormatFloat(f, 'g', -1, 64)
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return new(big.Rat), text // no number of JSON
	}
	return r, text
}
