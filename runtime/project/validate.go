package project

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/openmas/openmas/internal/nearest"
)

var (
	agentName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
)

// runtimeAgent is the name of the runtime's own agent.
const runtimeAgent = "openmas"

// communicators are the ways each kind of agent can be reached, its default first.
var communicators = map[Kind][]string{
	KindType:    {OverLocal, OverPubSub, OverStdio, OverSSE, OverHTTP},
	KindCommand: {OverStdio, OverSSE, OverHTTP},
	KindURL:     {OverHTTP, OverSSE},
}

// Validate reports everything wrong with c as Errors, or nil. Zero values count
// as their defaults. What needs the agents' code, such as an unknown type, is not
// known here.
func (c *Config) Validate() error {
	if out := c.problems(); len(out) > 0 {
		return out
	}
	return nil
}

func (c *Config) problems() Errors {
	v := &validator{c: c.WithDefaults()}
	v.project()
	v.policy([]string{"defaults"}, v.c.Defaults, v.c.Defaults)
	v.numbers()
	for _, name := range v.c.AgentNames() {
		v.agent(name, v.c.Agents[name])
	}
	v.gateway()
	v.telemetry()
	return v.out
}

type validator struct {
	c   *Config
	out Errors
}

func (v *validator) fail(keys []string, hint, format string, args ...any) {
	e := v.c.Errorf(keys, "%s: %s", JoinPath(keys), fmt.Sprintf(format, args...))
	e.Hint = hint
	v.out = append(v.out, e)
}

// quote shows a value, masked where it holds a secret.
func (v *validator) quote(keys []string, value string) string {
	if v.c.source == nil {
		return strconv.Quote(value)
	}
	return v.c.source.show(keys, value)
}

func (v *validator) word(keys []string, value string, known ...string) {
	if slices.Contains(known, value) {
		return
	}
	v.fail(keys, nearest.Hint(value, known), "unknown word %s", v.quote(keys, value))
}

func (v *validator) project() {
	c := v.c
	if !agentName.MatchString(c.Project) {
		v.fail([]string{"project"}, "lower-case letters, digits and hyphens, a letter first, at most 32",
			"%s is not a name", v.quote([]string{"project"}, c.Project))
	}
	if len(c.Agents) == 0 {
		v.fail([]string{"agents"}, "add one: agents: {NAME: {type: TYPE}}", "the project has no agents")
	}
	v.broker()
}

// numbers checks what a file cannot get wrong, because Load refuses it, and Go code can.
func (v *validator) numbers() {
	c := v.c
	positive := func(ok bool, keys ...string) {
		if !ok {
			v.fail(keys, "", "must be more than 0")
		}
	}
	positive(c.Broker.MaxInFlight > 0, "broker", "max_in_flight")
	positive(c.Broker.MaxQueue > 0, "broker", "max_queue")
	positive(c.Broker.MaxPayload > 0, "broker", "max_payload")
	v.mcp()
	positive(c.Connect.Timeout > 0, "connect", "timeout")
	positive(c.Restart.Limit > 0, "restart", "limit")
	positive(c.Restart.Window > 0, "restart", "window")
	positive(c.Restart.Backoff > 0, "restart", "backoff")
	positive(c.Restart.GiveUpAfter > 0, "restart", "give_up_after")
	positive(c.Child.StdinWait > 0, "child", "stdin_wait")
	positive(c.Child.TermWait > 0, "child", "term_wait")
	positive(c.Drain.Timeout > 0, "drain", "timeout")
	reconnect := Retry{Initial: c.Reconnect.Initial, Multiplier: c.Reconnect.Multiplier, Max: c.Reconnect.Max}
	v.backoff([]string{"reconnect"}, reconnect, reconnect)
}

// backoff checks what own sets, in the light of what it inherits.
func (v *validator) backoff(keys []string, own, resolved Retry) {
	at := func(key string) []string { return append(slices.Clone(keys), key) }
	switch {
	case own.Initial < 0 || own.Max < 0:
		v.fail(keys, "", "a wait must be more than 0")
	case (own.Initial != 0 || own.Max != 0) && resolved.Max < resolved.Initial:
		v.fail(at("max"), "", "%s is shorter than initial, %s", shortDuration(resolved.Max),
			shortDuration(resolved.Initial))
	}
	if m := own.Multiplier; m != 0 && !(m >= 1 && m <= 1000) { // so that NaN fails too
		v.fail(at("multiplier"), "", "must be 1 to 1000, not %v", m)
	}
}

// policy checks one level's own settings in the light of what they inherit.
func (v *validator) policy(keys []string, own, resolved Policy) {
	at := func(key ...string) []string { return append(slices.Clone(keys), key...) }
	if own.Timeout < 0 {
		v.fail(at("timeout"), "", "must be more than 0")
	}
	if n := own.Retry.Attempts; n < 0 || n > 100 {
		v.fail(at("retry", "attempts"), "", "must be 1 to 100, not %d", n)
	}
	v.backoff(at("retry"), own.Retry, resolved.Retry)
}

func (v *validator) agent(name string, a Agent) {
	keys := []string{"agents", name}
	at := func(key ...string) []string { return append(slices.Clone(keys), key...) }
	switch {
	case !agentName.MatchString(name):
		v.fail(keys, "lower-case letters, digits and hyphens, a letter first, at most 32", "%q is not a name for an "+
			"agent", name)
	case name == runtimeAgent:
		v.fail(keys, "", "the name is taken: it is the runtime's own agent")
	}
	kind := a.Kind()
	if kind == "" {
		v.kind(keys, a)
		return
	}
	if known := communicators[kind]; !slices.Contains(known, a.Communicator) {
		all, key := communicators[KindType], at("communicator")
		if slices.Contains(all, a.Communicator) {
			v.fail(key, "it can be "+strings.Join(known, " or "), "a %s agent cannot be reached over %s", kind,
				a.Communicator)
		} else {
			v.fail(key, nearest.Hint(a.Communicator, known), "unknown communicator %s",
				v.quote(key, a.Communicator))
		}
	}
	if a.Replicas != 0 && kind == KindURL {
		v.fail(at("replicas"), "", "a url agent runs elsewhere and has no replicas here")
	} else if a.Replicas < 0 || a.Replicas > 1024 {
		v.fail(at("replicas"), "", "must be 1 to 1024, not %d", a.Replicas)
	}
	if a.Run != "" && v.only(at("run"), kind == KindType, "only a Go struct has a Runner") {
		v.word(at("run"), a.Run, "first", "all")
	}
	if a.Config != nil {
		v.only(at("config"), kind == KindType, "it fills a Go struct; a program gets env and its arguments")
	}
	if a.Critical {
		v.only(at("critical"), kind != KindURL, "a url agent never fails for good: its connection is tried for ever")
	}
	v.surroundings(keys, a)
	v.policy(keys, a.Policy, v.c.PolicyFor(name, ""))
	for _, tool := range sortedKeys(a.Tools) {
		if tool == "" || strings.ContainsFunc(tool, unicode.IsControl) {
			v.fail(at("tools"), "", "%q is not a tool's name", tool)
		}
		v.policy(at("tools", tool), a.Tools[tool].Policy, v.c.PolicyFor(name, tool))
	}
}

// kind explains why an agent has no kind.
func (v *validator) kind(keys []string, a Agent) {
	var have []string
	for word, set := range map[string]bool{"type": a.Type != "", "command": len(a.Command) > 0, "url": a.URL != ""} {
		if set {
			have = append(have, word)
		}
	}
	if len(have) > 0 {
		slices.Sort(have)
		v.fail(keys, "keep one of them", "has %s; an agent is one thing", strings.Join(have, " and "))
		return
	}
	hint := "say type: (a Go struct), command: (a program) or url: (a server)"
	if pos := v.c.Position(keys...); pos.Env != "" || pos.Set != "" { // most likely a misspelt name
		var others []string
		for name, other := range v.c.Agents {
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

func (v *validator) only(keys []string, ok bool, why string) bool {
	if !ok {
		v.fail(keys, "", "has no effect here: %s", why)
	}
	return ok
}

// surroundings checks what a child process and an HTTP connection are given.
func (v *validator) surroundings(keys []string, a Agent) {
	at := func(key ...string) []string { return append(slices.Clone(keys), key...) }
	const children = "only a child process has it (a command, or a type over mcp-stdio)"
	if len(a.Env) > 0 {
		v.only(at("env"), a.Child(), children)
	}
	for _, name := range sortedKeys(a.Env) {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(a.Env[name], "\x00"):
			v.fail(at("env", name), "", "is not an environment variable")
		case name == "OPENMAS_URL" || name == "OPENMAS_TOKEN":
			v.fail(at("env", name), "", "openmas sets this variable itself")
		}
	}
	if a.Dir != "" {
		v.only(at("dir"), a.Child(), children)
	}
	if len(a.Command) > 0 && a.Command[0] == "" {
		v.fail(at("command", Item(0)), "", "the program is empty")
	}
	for i, arg := range a.Command {
		if strings.Contains(arg, "\x00") {
			v.fail(at("command", Item(i)), "", "contains a NUL character")
		}
	}
	http := a.URL != "" || len(a.Command) > 0 && a.Communicator != OverStdio
	if len(a.Headers) > 0 {
		v.only(at("headers"), http, "only an MCP server reached over HTTP gets headers")
	}
	for _, name := range sortedKeys(a.Headers) {
		if !headerName.MatchString(name) || strings.ContainsFunc(a.Headers[name], unicode.IsControl) {
			v.fail(at("headers", name), "", "is not a valid HTTP header")
		}
	}
	if a.URL != "" {
		v.url(at("url"), a.URL)
	}
	v.peer(keys, a)
}

func (v *validator) url(keys []string, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		v.fail(keys, `write "https://host/path"`, "%s is not an http or https URL", v.quote(keys, text))
	case u.User != nil:
		v.fail(keys, `write headers: {Authorization: "…"}`, "a URL must not hold a password: it appears in logs")
	}
}

func (v *validator) address(keys []string, addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		v.fail(keys, `write host:port, like "127.0.0.1:8765"; port 0 takes a free one`, "%s is not an address",
			v.quote(keys, addr))
	}
	return err == nil
}

func (v *validator) telemetry() {
	t := v.c.Telemetry
	if t.Protocol != "" {
		v.word([]string{"telemetry", "protocol"}, t.Protocol, "http", "grpc")
	}
	switch {
	case t.Endpoint == "":
	case strings.Contains(t.Endpoint, "://"):
		v.url([]string{"telemetry", "endpoint"}, t.Endpoint)
	default:
		v.address([]string{"telemetry", "endpoint"}, t.Endpoint)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
