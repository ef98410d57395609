package project

import (
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/openmas/openmas/internal/nearest"
)

// Validate reports everything wrong with c as Errors, or nil. Zero values count as their defaults.
// What needs the agents' code, such as an unknown type, is not known here.
func (c *Config) Validate() error {
	_, err := c.Complete()
	return err
}

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

// problems are those of a Config whose defaults are filled in.
func (c *Config) problems() Errors {
	v := &validator{written: c.written, agents: c.Agents, names: c.AgentNames(), errorf: c.Errorf}
	v.bounds(nil, reflect.ValueOf(c).Elem(), nil)
	if !validName.MatchString(c.Project) {
		v.fail([]string{"project"}, nameRule, "%s is not a name", v.quote([]string{"project"}, c.Project))
	}
	if len(c.Agents) == 0 {
		v.fail([]string{"agents"}, "add one: agents: {NAME: {type: TYPE}}", "the project has no agents")
	}
	v.broker(&c.Broker)
	v.events(c.Events, c.Broker.Type)
	v.policy([]string{"defaults"}, c.Defaults, c.Defaults)
	v.mcp(&c.MCP)
	v.waits([]string{"reconnect"}, true, c.Reconnect.Initial, c.Reconnect.Max)
	for _, name := range v.names {
		a := c.Agents[name]
		v.agent(c, name, &a)
	}
	v.gateway(c.Gateway)
	v.ops(c.Ops, c.Gateway)
	v.telemetry(c.Telemetry.Endpoint)
	return v.out
}

// bounds checks the values of a section against its declaration. a is the agent whose section it
// is, nil elsewhere; agents and what else has names are checked one by one.
func (v *validator) bounds(path []string, section reflect.Value, a *Agent) {
	for i := range declared.section(section.Type()).keys {
		k := &declared.section(section.Type()).keys[i]
		field := section.FieldByIndex(k.index)
		if field.IsZero() {
			continue
		}
		if k.only != "" && !audiences[k.only].has(a) {
			v.fail(below(path, k.name), k.remark, "has no effect here: only %s has it", audiences[k.only].who)
			continue
		}
		if field.Kind() == reflect.Pointer {
			field = field.Elem()
		}
		switch {
		case field.Kind() == reflect.Struct:
			v.bounds(below(path, k.name), field, a)
		case isQuantity(field.Type()):
			v.quantity(path, k, field)
		case len(k.words) > 0 && !slices.Contains(k.words, field.String()):
			keys := below(path, k.name)
			v.fail(keys, nearest.Hint(field.String(), k.words), "unknown word %s", v.quote(keys, field.String()))
		case field.Kind() == reflect.Map && k.typ.Elem().Kind() == reflect.Struct && k.typ.Elem() != agentType:
			for it := field.MapRange(); it.Next(); {
				v.bounds(below(path, k.name, it.Key().String()), it.Value(), a)
			}
		}
	}
}

// quantity checks a number, a duration or a size.
func (v *validator) quantity(path []string, k *key, field reflect.Value) {
	n, keys := number(field), below(path, k.name)
	least, most := math.SmallestNonzeroFloat64, math.Inf(1)
	if k.min.IsValid() {
		least = number(k.min)
	}
	if k.max.IsValid() {
		most = number(k.max)
	}
	switch {
	case n >= least && n <= most: // so that NaN is out of bounds
	case n == Off && k.canOff:
	case valueText(field) == offText:
		v.fail(keys, "", "cannot be off")
	case k.min.IsValid() && k.max.IsValid():
		v.fail(keys, "", "must be %s to %s, not %s", valueText(k.min), valueText(k.max), valueText(field))
	case k.min.IsValid():
		v.fail(keys, k.orOff(), "must be at least %s, not %s", valueText(k.min), valueText(field))
	default:
		v.fail(keys, "", "must be more than 0, not %s", valueText(field))
	}
}

func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	}
	return v.Float()
}

func (v *validator) agent(c *Config, name string, a *Agent) {
	keys := []string{"agents", name}
	switch {
	case !validName.MatchString(name):
		v.fail(keys, nameRule, "%q is not a name for an agent", name)
	case name == runtimeAgent:
		v.fail(keys, "give the agent another name", "the name is taken: it is the runtime's own agent")
	}
	if a.Kind() == "" {
		v.kind(c, keys, a)
		return
	}
	v.communicator(below(keys, "communicator"), a)
	v.bounds(keys, reflect.ValueOf(a).Elem(), a)
	v.surroundings(keys, a)
	v.access(keys, a)
	for n, other := range a.RestartsWith {
		item := below(keys, "restarts_with", fmt.Sprintf("[%d]", n))
		if _, known := c.Agents[other]; other == name || !known {
			v.fail(item, nearest.Hint(other, v.names), "there is no other agent %s", v.quote(item, other))
		}
	}
	if a.Policy != (Policy{}) {
		v.policy(keys, a.Policy, c.PolicyFor(name, ""))
	}
	for _, tool := range sortedKeys(a.Tools) {
		if tool == "" || hasControl(tool) {
			v.fail(below(keys, "tools"), "", "%q is not a tool's name", tool)
		}
		v.policy(below(keys, "tools", tool), a.Tools[tool], c.PolicyFor(name, tool))
	}
}

// kind explains why an agent has no kind.
func (v *validator) kind(c *Config, keys []string, a *Agent) {
	var have []string
	for _, kind := range []struct {
		is  bool
		key Kind
	}{{len(a.Command) > 0, KindCommand}, {a.Type != "", KindType}, {a.URL != "", KindURL}} {
		if kind.is {
			have = append(have, string(kind.key))
		}
	}
	if len(have) > 0 {
		v.fail(keys, "keep one of them", "has %s; an agent is one thing", strings.Join(have, " and "))
		return
	}
	hint := "say type: (a Go struct), command: (a program) or url: (a server)"
	if pos := c.Position(keys...); pos.Env != "" || pos.Set != "" { // most likely a misspelt name
		var others []string
		for name, other := range c.Agents {
			if other.Kind() != "" {
				others = append(others, name)
			}
		}
		if near := nearest.Word(keys[1], others); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
	}
	v.fail(keys, hint, "does not say what the agent is")
}

func (v *validator) communicator(keys []string, a *Agent) {
	known := communicators[a.Kind()]
	if slices.Contains(communicators[KindType], a.Communicator) && !slices.Contains(known, a.Communicator) {
		v.fail(keys, "it can be "+strings.Join(known, " or "), "a %s agent cannot be reached over %s", a.Kind(),
			a.Communicator)
	}
}

func (v *validator) telemetry(endpoint string) {
	keys := []string{"telemetry", "endpoint"}
	switch {
	case endpoint == "" || endpoint == offText:
	case strings.Contains(endpoint, "://"):
		v.url(keys, endpoint)
	default:
		v.address(keys, endpoint)
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

// surroundings checks what a child process is given.
func (v *validator) surroundings(keys []string, a *Agent) {
	for _, name := range sortedKeys(a.Env) {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(a.Env[name], "\x00"):
			v.fail(below(keys, "env", name), "", "is not an environment variable")
		case name == "OPENMAS_URL" || name == "OPENMAS_TOKEN":
			v.fail(below(keys, "env", name), "", "openmas sets this variable itself")
		}
	}
	if len(a.Command) > 0 && a.Command[0] == "" {
		v.fail(below(keys, "command", item(0)), "", "the program is empty")
	}
	for i, arg := range a.Command {
		if strings.Contains(arg, "\x00") {
			v.fail(below(keys, "command", item(i)), "", "contains a NUL character")
		}
	}
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// ownHeaders are those that belong to the connection or to MCP: libraries ignore them, or break the
// request. The host is that of the url.
var ownHeaders = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Mcp-Session-Id",
	"Mcp-Protocol-Version", "Last-Event-ID"}

// OwnHeader reports whether no agent may set the HTTP header, since openmas does.
func OwnHeader(name string) bool {
	return slices.ContainsFunc(ownHeaders, func(own string) bool { return strings.EqualFold(own, name) })
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// access checks what goes with an HTTP connection, and what is asked of servers that are not ours.
func (v *validator) access(keys []string, a *Agent) {
	at := func(key ...string) []string { return below(keys, key...) }
	if a.URL != "" {
		v.url(at("url"), a.URL)
	}
	for _, name := range sortedKeys(a.Headers) {
		switch {
		case !headerName.MatchString(name) || hasControl(a.Headers[name]):
			v.fail(at("headers", name), "", "is not a valid HTTP header")
		case OwnHeader(name):
			v.fail(at("headers", name), "remove it", "openmas sets this header itself")
		}
	}
	auth := slices.ContainsFunc(sortedKeys(a.Headers), func(h string) bool {
		return strings.EqualFold(h, "Authorization")
	})
	if a.URL != "" && (a.Token != "" || v.said(at("token"))) {
		if v.token(at("token"), a.Token) && auth {
			v.fail(at("token"), "keep one of them", "headers has an Authorization as well")
		}
	}
	if o := a.OAuth; o != (OAuth{}) && a.URL != "" {
		switch {
		case o.ClientID == "" || o.ClientSecret == "":
			v.fail(at("oauth"), "", "needs client_id and client_secret")
		case auth || a.Token != "":
			v.fail(at("oauth"), "keep one of them", "there is a token as well")
		}
		if u, err := url.Parse(o.Issuer); o.Issuer != "" && (err != nil || u.Host == "" || u.User != nil ||
			u.Scheme != "http" && u.Scheme != "https") {
			v.fail(at("oauth", "issuer"), "", "is no http:// or https:// URL")
		}
	}
	if a.URL != "" {
		v.certificate(at("tls"), a.TLS)
	}
	for i, tool := range a.AllowTools {
		if tool == "" {
			v.fail(at("allow_tools", item(i)), "", "the tool's name is empty")
		}
	}
	if a.Protocol != "" && a.Type == "" && a.Communicator == OverSSE {
		v.fail(at("protocol"), "", "has no effect here: mcp-sse speaks no later protocol than 2025-11-25")
	}
}
