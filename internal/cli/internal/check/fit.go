package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/runtime/project"
)

// deepest bounds how far schemas are compared.
const deepest = 8

// A schema is what is compared of a JSON schema.
type schema struct {
	Type       oneOrMany          `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Enum       []any              `json:"enum"`
	Items      *schema            `json:"items"`
	Additional json.RawMessage    `json:"additionalProperties"`
}

type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*o = oneOrMany{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(b, &many)
	*o = many
	return err
}

// UnmarshalJSON takes a schema that is true or false, or one that is not understood, as one that
// says nothing.
func (s *schema) UnmarshalJSON(b []byte) error {
	type plain schema
	var p plain
	if json.Unmarshal(b, &p) == nil {
		*s = schema(p)
	}
	return nil
}

// closed reports whether no other members are taken.
func (s *schema) closed() bool { return string(s.Additional) == "false" }

// types compares what agents say that they send and expect with what the tools take and give.
func (c *checker) types() {
	for _, name := range c.cfg.AgentNames() {
		for _, req := range c.agents[name].requires {
			if len(req.Input()) == 0 && len(req.Output()) == 0 {
				continue
			}
			keys := []string{"agents", name}
			info, known := c.offers(req.Agent())
			if !known {
				_, tried := c.probed[req.Agent()]
				if a, there := c.cfg.Agents[req.Agent()]; there && a.Kind() != project.KindType && !tried {
					c.add(Note, keys, "openmas validate --probe asks it",
						"whether the types of %s fit, which agent %s requires, is not known before %s is connected",
						req, name, req.Agent())
				}
				continue
			}
			tool, offered := info.Tool(req.Tool())
			if !offered {
				continue // it is refused elsewhere
			}
			f := fitting{}
			f.compare("input", decode(req.Input()), decode(tool.InputSchema), 0)
			if len(req.Output()) > 0 && len(tool.OutputSchema) > 0 {
				f.compare("answer", decode(tool.OutputSchema), decode(req.Output()), 0)
			} else if len(req.Output()) > 0 {
				f.undecided = append(f.undecided, "the tool does not say what it answers")
			}
			for _, w := range f.wrong {
				help := cmp.Or(w.help, "correct the types of agent.RequireTool, or those of the tool")
				c.add(Error, keys, help, "agent %s calls %s with other types: %s", name, req, w.what)
			}
			for _, n := range f.undecided {
				c.add(Note, keys, "", "agent %s calls %s: %s", name, req, n)
			}
		}
	}
}

func decode(raw json.RawMessage) *schema {
	var s schema
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return &s
}

// A misfit is why a value of one type is none of another.
type misfit struct{ what, help string }

// fitting collects them.
type fitting struct {
	wrong     []misfit
	undecided []string
}

func (f *fitting) fail(help, format string, args ...any) {
	f.wrong = append(f.wrong, misfit{fmt.Sprintf(format, args...), help})
}

// compare checks that what is given is also taken. path is where, for people.
func (f *fitting) compare(path string, given, taken *schema, depth int) {
	if given == nil || taken == nil || depth > deepest {
		return
	}
	if len(given.Type) > 0 && len(taken.Type) > 0 {
		var fit, not []string
		for _, t := range given.Type {
			if slices.Contains(taken.Type, t) || t == "integer" && slices.Contains(taken.Type, "number") {
				fit = append(fit, t)
			} else {
				not = append(not, t)
			}
		}
		if len(fit) == 0 {
			f.fail("", "%s is %s, and has to be %s", path, strings.Join(given.Type, " or "),
				strings.Join(taken.Type, " or "))
			return
		}
		if len(not) > 0 && !slices.Equal(not, []string{"null"}) { // a nil in Go is rarely sent
			f.undecided = append(f.undecided, fmt.Sprintf("%s can be %s, which is not taken", path, strings.Join(not,
				" or ")))
		}
	}
	f.enum(path, given, taken)
	f.members(path, given, taken, depth)
	f.compare(path+"[]", given.Items, taken.Items, depth+1)
}

// enum compares the values that are allowed.
func (f *fitting) enum(path string, given, taken *schema) {
	if len(taken.Enum) == 0 {
		return
	}
	words := func(all []any) string {
		var out []string
		for _, v := range all {
			out = append(out, fmt.Sprint(v))
		}
		return strings.Join(out, ", ")
	}
	if len(given.Enum) == 0 {
		f.undecided = append(f.undecided, fmt.Sprintf("%s has to be one of %s, and its type does not say so", path,
			words(taken.Enum)))
		return
	}
	for _, v := range given.Enum {
		if !slices.ContainsFunc(taken.Enum, func(t any) bool { return fmt.Sprint(t) == fmt.Sprint(v) }) {
			f.fail("", "%s can be %v, and has to be one of %s", path, v, words(taken.Enum))
		}
	}
}

// members compares objects.
func (f *fitting) members(path string, given, taken *schema, depth int) {
	known := slices.Sorted(maps.Keys(taken.Properties))
	for _, name := range slices.Sorted(maps.Keys(given.Properties)) {
		if to := taken.Properties[name]; to != nil {
			f.compare(path+"."+name, given.Properties[name], to, depth+1)
		} else if taken.closed() && strings.HasPrefix(path, "input") {
			f.fail(nearest.Hint(name, known), "%s has %q, which is unknown there", path, name)
		}
	}
	for _, name := range taken.Required {
		_, there := given.Properties[name]
		switch {
		case there && !slices.Contains(given.Required, name):
			f.undecided = append(f.undecided, fmt.Sprintf("%s.%s is required, and may be left out", path, name))
		case !there && given.closed():
			f.fail(nearest.Hint(name, slices.Sorted(maps.Keys(given.Properties))), "%s lacks %q", path, name)
		case !there:
			f.undecided = append(f.undecided, fmt.Sprintf("whether %s has %q, which is required, is not known",
				path, name))
		}
	}
}
