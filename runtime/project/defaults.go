package project

import (
	"cmp"
	"maps"
	"reflect"
)

// Default returns the configuration of a project that says nothing: every default, no agents.
func Default() *Config { return (&Config{}).filled() }

// Complete returns a copy of c in which every zero value has its default, or everything wrong with
// it, as Errors. The agents' policies stay as they are: see [Config.PolicyFor]. The copy knows its
// secrets: see [Config.Redact].
func (c *Config) Complete() (*Config, error) {
	c = c.filled()
	if problems := c.problems(); len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// filled returns a copy of c with its defaults and its secrets. It is the one place where defaults
// are applied.
func (c *Config) filled() *Config {
	out := *c
	if c.Gateway != nil {
		gateway := *c.Gateway
		out.Gateway = &gateway
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
	out.secrets = out.secrets.with(out.plainSecrets())
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
