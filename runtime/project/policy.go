package project

import (
	"reflect"
	"time"
)

// Policy is how a call is made. Zero fields are inherited: a tool's from its agent, an agent's from
// the project's defaults. See [Config.PolicyFor].
type Policy struct {
	// Deadline of a call, its retries included.
	Timeout time.Duration `yaml:"timeout" default:"30s"`
	// How a call is repeated where that is safe. "off" is one attempt.
	Retry Retry `yaml:"retry" off:"attempts"`
	// Whether a tool may run twice when nobody knows if a call has run. This counts more than what
	// the tool declares. Left out: what the tool declares, if its agent is trusted.
	Idempotent *bool `yaml:"idempotent"`
}

// Retry is exponential backoff with full jitter.
type Retry struct {
	// How often a call is made, the first attempt included. See docs/errors.md for what is
	// repeated.
	Attempts int `yaml:"attempts" default:"3" min:"1" max:"100" off:"1"`
	// Longest wait before the second attempt. The wait is random, up to this.
	Initial time.Duration `yaml:"initial" default:"100ms"`
	// How much longer the longest wait is before each further attempt.
	Multiplier float64 `yaml:"multiplier" default:"2" min:"1" max:"1000"`
	// The longest wait does not grow beyond this.
	Max time.Duration `yaml:"max" default:"10s"`
}

// PolicyFor returns the policy of a call to a tool: what the tool says, then its agent, then the
// project's defaults, then openmas itself. No field of it is zero, but for Idempotent where nobody
// says anything. Neither the agent nor the tool need be configured.
func (c *Config) PolicyFor(agent, tool string) Policy {
	a := c.Agents[agent]
	return a.Tools[tool].over(a.Policy).over(c.Defaults).over(standard.Defaults)
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

// policy checks what one level says in the light of what it inherits.
func (v *validator) policy(keys []string, own, resolved Policy) {
	said := own.Retry.Initial != 0 || own.Retry.Max != 0
	v.waits(below(keys, "retry"), said, resolved.Retry.Initial, resolved.Retry.Max)
}

// waits checks that a wait has room to grow, where anything was said about it.
func (v *validator) waits(keys []string, said bool, initial, longest time.Duration) {
	if said && longest < initial {
		v.fail(below(keys, "max"), "", "%s is shorter than initial, %s", durationText(longest), durationText(initial))
	}
}
