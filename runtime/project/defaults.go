package project

import (
	"cmp"
	"maps"
	"reflect"
)

// Default returns the configuration of a project that says nothing: every default, no agents.
func Default() *Config { return (&Config{}).filled() }

// filled returns a copy of c with its defaults and its secrets. It is the one place where defaults
// are applied.
func (c *Config) filled() *Config {
	out := *c
	if c.Gateway != nil {
		gateway := *c.Gateway
		out.Gateway = &gateway
	}
	if c.Ops != nil {
		ops := *c.Ops
		out.Ops = &ops
	}
	out.Agents, out.Events = maps.Clone(c.Agents), maps.Clone(c.Events)
	fill(reflect.ValueOf(&out).Elem(), nil)
	for name, e := range out.Events {
		fill(reflect.ValueOf(&e).Elem(), nil)
		out.Events[name] = e
	}
	for name, a := range out.Agents {
		a.Communicator = cmp.Or(a.Communicator, a.defaultCommunicator())
		fill(reflect.ValueOf(&a).Elem(), &a)
		out.Agents[name] = a
	}
	out.redactor = replacer(out.Secrets())
	return &out
}

// fill sets the fields of a section that are zero to their defaults. a is the agent whose section
// it is, nil elsewhere.
func fill(section reflect.Value, a *Agent) {
	for i := range declared.section(section.Type()).keys {
		k := &declared.section(section.Type()).keys[i]
		switch {
		case k.inherit || k.only != "" && !audiences[k.only].has(a):
			continue
		case k.def.IsValid():
			if field := section.FieldByIndex(k.index); !field.IsZero() {
				continue
			} else if field.Kind() == reflect.Pointer { // nobody shares a default
				field.Set(reflect.New(k.typ.Elem()))
				field.Elem().Set(k.def.Elem())
			} else {
				field.Set(k.def)
			}
		case k.typ.Kind() == reflect.Struct:
			fill(section.FieldByIndex(k.index), a)
		case k.typ.Kind() == reflect.Pointer && k.typ.Elem().Kind() == reflect.Struct:
			if field := section.FieldByIndex(k.index); !field.IsNil() {
				fill(field.Elem(), a)
			}
		}
	}
}

// PolicyFor returns the policy of a call to a tool: what the tool says, then its agent, then the
// project's defaults, then openmas itself. No field of it is zero, but for Idempotent and
// MaxInFlight where nobody says anything. Neither the agent nor the tool need be configured.
func (c *Config) PolicyFor(agent, tool string) Policy {
	a := c.Agents[agent]
	return a.Tools[tool].over(a.Policy).over(c.Defaults).over(standard.Defaults)
}

// PolicyKey is the key of a policy that is in force for calls to a tool, or to all tools of an
// agent when tool is empty; where it is the project's or a default, with the one that would be the
// agent's own. key is a key of [Policy], such as "timeout".
func (c *Config) PolicyKey(agent, tool, key string) string {
	a := c.Agents[agent]
	ofAgent := joinPath([]string{"agents", agent, key})
	switch {
	case a.Tools[tool].says(key):
		return joinPath([]string{"agents", agent, "tools", tool, key})
	case a.Policy.says(key):
		return ofAgent
	}
	return "defaults." + key + "; " + ofAgent + " goes before it"
}

// says reports whether the policy has a value for a key, or for one in the section that it is.
func (p Policy) says(key string) bool {
	v := reflect.ValueOf(p)
	k := declared.section(v.Type()).byName[key]
	return !v.FieldByIndex(k.index).IsZero()
}

// standard is a project that says nothing.
var standard = Default()

// over fills the zero fields of p from base.
func (p Policy) over(base Policy) Policy {
	inherit(reflect.ValueOf(&p).Elem(), reflect.ValueOf(base))
	return p
}

func inherit(to, from reflect.Value) {
	for _, k := range declared.section(to.Type()).keys {
		switch field := to.FieldByIndex(k.index); {
		case k.typ.Kind() == reflect.Struct:
			inherit(field, from.FieldByIndex(k.index))
		case field.IsZero():
			field.Set(from.FieldByIndex(k.index))
		}
	}
}
