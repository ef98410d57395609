package project

import (
	"math"
	"strings"

	"github.com/knadh/koanf/maps"
)

// A tree is what was written, with its places: nested maps whose values are *leaf.
//
// Layers are merged by koanf, which knows nothing of a leaf and puts the later one in the place of
// the earlier. A koanf.Koanf merges with the same function, but gives back deep copies only: they
// have lost the positions, and take longer than all the rest. See docs/decisions/0013.
type tree struct {
	root   map[string]any
	places map[string]place // of the mappings, by path
}

// A leaf is a scalar or a list and where it was written. Nothing changes it once it is in a tree,
// except that references in it are expanded.
type leaf struct {
	key, pos Position // of its key, if it has one, and of the value
	value    any      // nil, bool, int64, uint64, float64, string, or a list of *leaf and map[string]any
	masked   string   // a text that holds a secret: what may be shown of it
	literal  string   // a number, a boolean or null as it is written: 1.0 is not 1 where a text is wanted
	reset    bool     // a null over the project file: it takes back what is below it
}

func (l *leaf) isList() bool { _, ok := l.value.([]any); return ok }

// A place is where a mapping was written first, and how many were before it.
type place struct {
	pos   Position
	order int
}

func newTree() *tree { return &tree{root: map[string]any{}, places: map[string]place{}} }

// add lays a layer over the tree, which owns it from now on.
func (t *tree) add(layer map[string]any) { maps.Merge(layer, t.root) }

// found notes where a mapping stands, unless an earlier layer has it.
func (t *tree) found(path []string, pos Position) {
	name := strings.Join(path, "\x00") // no key has a control character in it
	if _, ok := t.places[name]; !ok {
		t.places[name] = place{pos, len(t.places)}
	}
}

// order says which of the mappings was written first; last are those that were not written.
func (t *tree) order(path ...string) int {
	if p, ok := t.places[strings.Join(path, "\x00")]; ok {
		return p.order
	}
	return math.MaxInt
}

// at returns what stands at a path: a *leaf, a map[string]any, or nil.
func (t *tree) at(path ...string) any {
	var v any = t.root
	for _, seg := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[seg]
		case *leaf:
			items, _ := x.value.([]any)
			i, ok := itemIndex(seg)
			if !ok || i >= len(items) {
				return nil
			}
			v = items[i]
		default:
			return nil
		}
	}
	return v
}

// position is where a reader should look for the value at a path: the key of a mapping, else the
// value itself.
func (t *tree) position(path ...string) Position {
	switch v := t.at(path...).(type) {
	case *leaf:
		if !v.reset { // else it is a default again
			return v.pos
		}
	case map[string]any:
		return t.places[strings.Join(path, "\x00")].pos
	}
	return Position{}
}

// plain returns a value without its places: nested maps, lists and scalars. Nothing is shared with
// the tree.
func plain(v any) any {
	switch v := v.(type) {
	case *leaf:
		return plain(v.value)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			if l, ok := item.(*leaf); !ok || !l.reset {
				out[name] = plain(item)
			}
		}
		return out
	}
	return v
}
