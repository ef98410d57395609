package lifecycle

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestStartOrder(t *testing.T) {
	for name, c := range map[string]struct {
		requires map[string][]string
		order    string
		circles  string
	}{
		"nothing":        {nil, "[]", "[]"},
		"by name":        {map[string][]string{"b": nil, "a": nil}, "[{a 0} {b 0}]", "[]"},
		"required first": {map[string][]string{"a": {"b"}, "b": nil, "c": nil}, "[{b 0} {c 0} {a 1}]", "[]"},
		"elsewhere":      {map[string][]string{"a": {"z"}}, "[{a 0}]", "[]"},
		"itself":         {map[string][]string{"a": {"a"}, "b": {"a"}}, "[{a 0} {b 1}]", "[]"},
		"circle": {map[string][]string{"a": {"d"}, "b": {"a"}, "c": {"b", "e"}, "d": {"c"}, "e": nil, "f": {"d"}},
			"[{e 0} {a 1} {b 1} {c 1} {d 1} {f 2}]", "[[a b c d]]"},
		"two circles": {map[string][]string{"a": {"b"}, "b": {"a"}, "c": {"d", "a"}, "d": {"c"}},
			"[{a 0} {b 0} {c 1} {d 1}]", "[[a b] [c d]]"},
	} {
		t.Run(name, func(t *testing.T) {
			order, circles := StartOrder(c.requires)
			if got := fmt.Sprint(order); got != c.order {
				t.Errorf("order   %s\nwant    %s", got, c.order)
			}
			if got := fmt.Sprint(circles); got != c.circles {
				t.Errorf("circles %s\nwant    %s", got, c.circles)
			}
		})
	}
}

// Whatever agents require, each is there once, and behind those that it requires unless they are in
// a circle with it.
func TestStartOrderPutsRequirementsFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "agents")
		requires := map[string][]string{}
		for i := range n {
			requires[fmt.Sprint(i)] = rapid.SliceOfN(rapid.Map(rapid.IntRange(0, n), func(i int) string {
				return fmt.Sprint(i)
			}), 0, 3).Draw(t, "requires")
		}
		reaches := func(from, to string) bool {
			seen := map[string]bool{}
			var walk func(string) bool
			walk = func(at string) bool {
				for _, req := range requires[at] {
					if req == to {
						return true
					}
					if !seen[req] {
						seen[req] = true
						if walk(req) {
							return true
						}
					}
				}
				return false
			}
			return walk(from)
		}
		order, circles := StartOrder(requires)
		level := map[string]int{}
		for i, p := range order {
			if _, twice := level[p.Name]; twice {
				t.Fatalf("%s is there twice", p.Name)
			}
			if i > 0 && order[i-1].Level > p.Level {
				t.Fatalf("levels are not in order: %v", order)
			}
			level[p.Name] = p.Level
		}
		if len(order) != n {
			t.Fatalf("%d of %d agents", len(order), n)
		}
		for name, all := range requires {
			for _, req := range all {
				if _, here := requires[req]; !here || req == name {
					continue
				}
				circle := slices.ContainsFunc(circles, func(c []string) bool {
					return slices.Contains(c, name) && slices.Contains(c, req)
				})
				if circle != reaches(req, name) {
					t.Fatalf("%s and %s: in a circle %v, circles %v", name, req, !circle, circles)
				}
				if !circle && level[req] >= level[name] {
					t.Fatalf("%s (level %d) requires %s (level %d)", name, level[name], req, level[req])
				}
			}
		}
	})
}

// A chain of many is no reason to run out of stack, or of time.
func TestALongChain(t *testing.T) {
	const n = 20_000
	requires := make(map[string][]string, n)
	for i := range n {
		requires[fmt.Sprintf("a%05d", i)] = []string{fmt.Sprintf("a%05d", i+1)}
	}
	order, circles := StartOrder(requires)
	if len(order) != n || order[0].Name != fmt.Sprintf("a%05d", n-1) || order[n-1].Level != n-1 || circles != nil {
		t.Errorf("%d agents, from %v to %v", len(order), order[0], order[len(order)-1])
	}
}
