package check

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// Project checks what neither the project file alone nor the start of a runtime refuses: how the
// agents and their settings go together. probed are the foreign agents that were asked what they
// offer; none of them need be.
func Project(cfg *project.Config, types agent.Types, probed []runtime.Probed) []Problem {
	c := &checker{cfg: cfg, agents: ask(cfg, types), probed: map[string]runtime.Probed{}}
	for _, p := range probed {
		c.probed[p.Agent] = p
	}
	c.answers()
	c.types()
	c.hidden()
	c.circles()
	c.unreached()
	c.ports()
	c.secrets()
	c.limits()
	return c.found
}

// hidden finds tools that somebody uses, and that allow_tools of their agent leaves out.
func (c *checker) hidden() {
	hides := func(name, tool string) (help string, hidden bool) {
		allowed := c.cfg.Agents[name].AllowTools
		if tool == "" || len(allowed) == 0 || slices.Contains(allowed, tool) {
			return "", false
		}
		if _, lacks := c.lacks(name, tool); lacks {
			return "", false // which is the fault
		}
		if near := nearest.Word(tool, allowed); near != "" {
			return fmt.Sprintf("did you mean %q?", near), true
		}
		return fmt.Sprintf("add %q to agents.%s.allow_tools", tool, name), true
	}
	for _, name := range c.cfg.AgentNames() {
		for _, req := range c.agents[name].requires {
			if help, hidden := hides(req.Agent(), req.Tool()); hidden {
				c.add(Error, []string{"agents", req.Agent(), "allow_tools"}, help, "agent %s requires %s, which "+
					"allow_tools of %s hides", name, req, req.Agent())
			}
		}
		for tool := range c.cfg.Agents[name].Tools {
			if help, hidden := hides(name, tool); hidden {
				c.add(Warning, []string{"agents", name, "tools", tool}, help, "the policy for %s has no effect: "+
					"allow_tools hides the tool", tool)
			}
		}
	}
	if c.cfg.Gateway == nil {
		return
	}
	for i, exposed := range c.cfg.Gateway.Expose {
		name, tool, _ := strings.Cut(exposed, ".")
		if help, hidden := hides(name, tool); hidden {
			c.add(Error, []string{"gateway", "expose", fmt.Sprintf("[%d]", i)}, help, "gateway.expose names %s, which "+
				"allow_tools of %s hides", exposed, name)
		}
	}
}

// circles finds agents that require each other.
func (c *checker) circles() {
	requires := map[string][]string{}
	for name := range c.cfg.Agents {
		requires[name] = nil
		for _, req := range c.agents[name].requires {
			if _, there := c.cfg.Agents[req.Agent()]; there {
				requires[name] = append(requires[name], req.Agent())
			}
		}
	}
	_, circles := lifecycle.StartOrder(requires)
	for _, circle := range circles {
		first := circle[0]
		c.add(Warning, []string{"agents", first},
			"take one of the requirements out of Capabilities, where the agent can start without",
			"agents require each other in a circle: %s; some of them start before what they require",
			strings.Join(append(circle, first), " > "))
	}
}

// unreached finds agents that nothing leads to.
func (c *checker) unreached() {
	g := c.cfg.Gateway
	if g == nil || g.Expose == nil {
		return // all are offered, or openmas call is how they are reached
	}
	used := map[string]bool{}
	for _, exposed := range g.Expose {
		name, _, _ := strings.Cut(exposed, ".")
		used[name] = true
	}
	for name, a := range c.agents {
		if a.runner || len(a.info.Subscriptions) > 0 {
			used[name] = true
		}
		for _, req := range a.requires {
			used[req.Agent()] = true
		}
	}
	sampling, _, _ := strings.Cut(c.cfg.MCP.Sampling, ".")
	used[sampling] = true
	for _, name := range c.cfg.AgentNames() {
		if _, known := c.agents[name]; !used[name] && (known || c.cfg.Agents[name].Kind() != project.KindType) {
			c.add(Note, []string{"agents", name}, "add it to gateway.expose, or have its caller say "+
				"agent.Require(\""+name+"\")", "nobody reaches agent %s: gateway.expose does not name it, and no "+
				"agent requires it", name)
		}
	}
}

// ports finds listeners that take each other's port, and agents that are the project itself.
func (c *checker) ports() {
	g, o := c.cfg.Gateway, c.cfg.Ops
	if g != nil && o != nil && g.Listen != o.Listen && clash(g.Listen, o.Listen) {
		c.add(Error, []string{"ops", "listen"}, "choose another port", "%q takes the port of gateway.listen, %q",
			o.Listen, g.Listen)
	}
	for _, name := range c.cfg.AgentNames() {
		u, err := url.Parse(c.cfg.Agents[name].URL)
		if err != nil || u.Host == "" {
			continue
		}
		port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		if at := net.JoinHostPort(u.Hostname(), port); g != nil && local(u.Hostname()) && clash(at, g.Listen) {
			c.add(Error, []string{"agents", name, "url"}, "give the address of the server that is meant, or another "+
				"port to gateway.listen", "agent %s is this project's own gateway: it would call itself", name)
		}
	}
}

// clash reports whether two addresses cannot be listened on at the same time.
func clash(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || everywhere(hostA) || everywhere(hostB) || local(hostA) && local(hostB)
}

func everywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// secrets finds those that are written in the project file.
func (c *checker) secrets() {
	for _, keys := range c.cfg.SecretsInClear() {
		variable := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(keys[len(keys)-1]))
		if strings.HasPrefix(variable, "[") || strings.EqualFold(variable, "Authorization") {
			variable = "NAME"
		}
		c.add(Warning, keys, "write ${env:"+variable+"} or ${file:PATH}", "%s: a secret is written in clear",
			strings.Join(keys, "."))
	}
}

// limits finds settings that keep each other from having an effect.
func (c *checker) limits() {
	policy := func(keys []string, own, resolved project.Policy) {
		if own.Timeout <= 0 && own.Retry.Initial <= 0 && own.Budget.Duration <= 0 {
			return
		}
		at := func(key ...string) []string { return append(slices.Clone(keys), key...) }
		if own.Retry.Initial > 0 && resolved.Retry.Attempts > 1 && resolved.Retry.Initial >= resolved.Timeout {
			c.add(Warning, at("retry", "initial"), "raise timeout, or lower retry.initial",
				"retry.initial, %v, is not shorter than the timeout of a call, %v: no time is left for an attempt",
				resolved.Retry.Initial, resolved.Timeout)
		}
		if own.Budget.Duration > 0 && resolved.Budget.Duration > resolved.Timeout {
			c.add(Warning, at("budget", "duration"), "raise timeout, or lower budget.duration", "budget.duration, %v, "+
				"is longer than the timeout of a call, %v, which ends it before", resolved.Budget.Duration,
				resolved.Timeout)
		}
	}
	policy([]string{"defaults"}, c.cfg.Defaults, c.cfg.Defaults)
	for _, name := range c.cfg.AgentNames() {
		a := c.cfg.Agents[name]
		policy([]string{"agents", name}, a.Policy, c.cfg.PolicyFor(name, ""))
		for tool, own := range a.Tools {
			policy([]string{"agents", name, "tools", tool}, own, c.cfg.PolicyFor(name, tool))
		}
	}
	if l := c.cfg.Limits; l.Memory > 0 && l.SessionMemory > l.Memory {
		c.add(Warning, []string{"limits", "session_memory"}, "lower it, or raise limits.memory", "limits."+
			"session_memory is more than limits.memory, which all sessions share: it has no effect")
	}
}
