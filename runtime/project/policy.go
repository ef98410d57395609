package project

import (
	"cmp"
	"maps"
	"net/url"
	"strings"
	"time"
)

// Default returns the configuration of a project that says nothing: every default, no agents.
func Default() *Config {
	return &Config{
		Project: "openmas",
		State:   ".openmas",
		Defaults: Policy{
			Timeout: 30 * time.Second,
			Retry:   Retry{Attempts: 3, Initial: 100 * time.Millisecond, Multiplier: 2, Max: 10 * time.Second},
		},
		Broker:    Broker{Type: "memory", MaxInFlight: 64, MaxQueue: 1024, MaxPayload: MiB},
		MCP:       defaultMCP(),
		Connect:   Connect{Timeout: 10 * time.Second},
		Reconnect: Reconnect{Initial: time.Second, Multiplier: 1.6, Max: 30 * time.Second},
		Restart:   Restart{Limit: 5, Window: 30 * time.Second, Backoff: 15 * time.Second, GiveUpAfter: 3},
		Child:     Child{StdinWait: 2 * time.Second, TermWait: 3 * time.Second},
		Drain:     Drain{Timeout: 25 * time.Second},
	}
}

// WithDefaults returns a copy of c in which every zero value is its default. The
// agents' policies stay as they are, for PolicyFor to resolve.
func (c *Config) WithDefaults() *Config {
	out, d := *c, Default()
	out.Project = cmp.Or(c.Project, d.Project)
	out.State = cmp.Or(c.State, d.State)
	out.Defaults = c.Defaults.over(d.Defaults)
	out.Broker.Type = cmp.Or(c.Broker.Type, d.Broker.Type)
	out.Broker.MaxInFlight = cmp.Or(c.Broker.MaxInFlight, d.Broker.MaxInFlight)
	out.Broker.MaxQueue = cmp.Or(c.Broker.MaxQueue, d.Broker.MaxQueue)
	out.Broker.MaxPayload = cmp.Or(c.Broker.MaxPayload, d.Broker.MaxPayload)
	if len(c.Events) > 0 {
		out.Events = maps.Clone(c.Events)
		for topic, e := range out.Events {
			e.Attempts, e.Backoff = cmp.Or(e.Attempts, 5), cmp.Or(e.Backoff, time.Second)
			out.Events[topic] = e
		}
	}
	out.Gateway, out.MCP = c.Gateway.withDefaults(), c.MCP.over(d.MCP)
	out.Connect.Timeout = cmp.Or(c.Connect.Timeout, d.Connect.Timeout)
	out.Reconnect = Reconnect{
		Initial:    cmp.Or(c.Reconnect.Initial, d.Reconnect.Initial),
		Multiplier: cmp.Or(c.Reconnect.Multiplier, d.Reconnect.Multiplier),
		Max:        cmp.Or(c.Reconnect.Max, d.Reconnect.Max),
	}
	out.Restart = Restart{
		Limit:       cmp.Or(c.Restart.Limit, d.Restart.Limit),
		Window:      cmp.Or(c.Restart.Window, d.Restart.Window),
		Backoff:     cmp.Or(c.Restart.Backoff, d.Restart.Backoff),
		GiveUpAfter: cmp.Or(c.Restart.GiveUpAfter, d.Restart.GiveUpAfter),
	}
	out.Child = Child{
		StdinWait: cmp.Or(c.Child.StdinWait, d.Child.StdinWait),
		TermWait:  cmp.Or(c.Child.TermWait, d.Child.TermWait),
	}
	out.Drain.Timeout = cmp.Or(c.Drain.Timeout, d.Drain.Timeout)
	out.Agents = maps.Clone(c.Agents)
	for name, a := range out.Agents {
		out.Agents[name] = a.withDefaults()
	}
	return &out
}

func (a Agent) withDefaults() Agent {
	kind := a.Kind()
	if a.Communicator == "" {
		switch kind {
		case KindType:
			a.Communicator = OverLocal
		case KindCommand:
			a.Communicator = OverStdio
		case KindURL:
			a.Communicator = OverHTTP
			if u, err := url.Parse(a.URL); err == nil && strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), "/sse") {
				a.Communicator = OverSSE
			}
		}
	}
	if kind == KindURL {
		a.Sessions = cmp.Or(a.Sessions, 1)
	} else {
		a.Replicas = cmp.Or(a.Replicas, 1)
	}
	if kind == KindType {
		a.Run = cmp.Or(a.Run, "first")
	}
	return a
}

// Complete returns a copy of c in which every zero value is its default, as [Config.WithDefaults]
// does, and everything wrong with it. The copy knows the secrets in it: see [Config.Redact].
func (c *Config) Complete() (*Config, error) {
	c = c.WithDefaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.redact == nil { // it was made without Load
		c.redact = redactor(c.secrets())
	}
	return c, nil
}

// HasSecrets reports whether [Config.Redact] has anything to replace.
func (c *Config) HasSecrets() bool { return c.redact != nil }

// PolicyFor returns the policy of a call to a tool: what the tool says, then its agent,
// then the project's defaults, then openmas itself. No field of it is zero. Neither the
// agent nor the tool need be configured.
func (c *Config) PolicyFor(agent, tool string) Policy {
	a := c.Agents[agent]
	return a.Tools[tool].Policy.over(a.Policy).over(c.Defaults).over(Default().Defaults)
}

// over fills the zero fields of p from base.
func (p Policy) over(base Policy) Policy {
	return Policy{
		Timeout: cmp.Or(p.Timeout, base.Timeout),
		Retry: Retry{
			Attempts:   cmp.Or(p.Retry.Attempts, base.Retry.Attempts),
			Initial:    cmp.Or(p.Retry.Initial, base.Retry.Initial),
			Multiplier: cmp.Or(p.Retry.Multiplier, base.Retry.Multiplier),
			Max:        cmp.Or(p.Retry.Max, base.Retry.Max),
		},
	}
}
