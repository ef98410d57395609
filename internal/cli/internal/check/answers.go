package check

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// answers checks the project against what its foreign agents have answered.
func (c *checker) answers() {
	for _, name := range c.cfg.AgentNames() {
		p, asked := c.probed[name]
		switch {
		case !asked:
		case p.Err != nil:
			c.silent(p)
		default:
			c.offered(p.Info)
			c.stopped(p)
		}
	}
	c.lacking()
}

// silent reports an agent that could not be asked, with what its program wrote last.
func (c *checker) silent(p runtime.Probed) {
	at, e := c.place(p.Agent), (*client.ConnectError)(nil)
	if errors.As(p.Err, &e) && e.Reason == client.ReasonNoProgram && at[2] == "command" {
		at = append(at, "[0]")
	}
	c.add(Error, at, c.remedy(p), "%v", why(p))
	one := &c.found[len(c.found)-1]
	one.Stdout = c.cfg.Redact(client.LastUnread(p.Err))
	for _, line := range client.LastLines(p.Err) {
		one.Stderr = append(one.Stderr, c.cfg.Redact(line))
	}
}

// offered looks at what one agent offers.
func (c *checker) offered(info agent.Info) {
	if len(info.Tools)+len(info.Prompts)+len(info.Resources)+len(info.LeftOut) == 0 {
		c.add(Warning, c.place(info.Name), otherProgram, "agent %s offers nothing: no tools, no prompts, no "+
			"resources", info.Name)
	}
	for _, l := range info.LeftOut {
		c.add(Warning, c.place(info.Name), "correct it in the server; the rest can be used",
			"agent %s: left out: %s %s: %s", info.Name, l.Kind, l.Name, l.Reason)
	}
	a := c.cfg.Agents[info.Name]
	for _, tool := range slices.Sorted(maps.Keys(a.Tools)) {
		if _, there := info.Tool(tool); !there {
			c.add(Warning, []string{"agents", info.Name, "tools", tool}, known(info, tool),
				"agent %s has no tool %q: the policy for it has no effect", info.Name, tool)
		}
	}
	for _, tool := range a.AllowTools {
		if _, there := info.Tool(tool); !there {
			c.add(Warning, []string{"agents", info.Name, "allow_tools"}, known(info, tool),
				"agent %s has no tool %q, which allow_tools names", info.Name, tool)
		}
	}
}

// stopped looks at how the program of an agent has ended.
func (c *checker) stopped(p runtime.Probed) {
	stdio, limits := c.cfg.Agents[p.Agent].Communicator == project.OverStdio, c.cfg.Child
	switch {
	case p.StopSignal == "SIGKILL" && stdio:
		c.add(Warning, c.place(p.Agent), "have it end at the end of its standard input, or on SIGTERM; child."+
			"stdin_wait and child.term_wait are how long it may take", "agent %s: its program had to be killed: it "+
			"did not end within %v of the end of its standard input, nor within %v of SIGTERM", p.Agent,
			limits.StdinWait, limits.TermWait)
	case p.StopSignal == "SIGKILL":
		c.add(Warning, c.place(p.Agent), "have it end on SIGTERM; child.term_wait is how long it may take",
			"agent %s: its program had to be killed: it did not end within %v of SIGTERM", p.Agent,
			limits.TermWait)
	case p.StopSignal == "SIGTERM" && stdio:
		c.add(Note, c.place(p.Agent), "have it end at the end of its standard input, or lower child.stdin_wait",
			"agent %s: its program ignores the end of its standard input, and ends on SIGTERM: each stop takes %v "+
				"longer", p.Agent, limits.StdinWait)
	}
}

// lacks reports whether an agent that was asked does not have a tool.
func (c *checker) lacks(name, tool string) (help string, lacks bool) {
	p, asked := c.probed[name]
	if !asked || p.Err != nil || tool == "" {
		return "", false
	}
	_, there := p.Info.Tool(tool)
	return known(p.Info, tool), !there
}

// lacking finds tools that are wanted, and that an agent which was asked does not have.
func (c *checker) lacking() {
	for _, name := range c.cfg.AgentNames() {
		for _, req := range c.agents[name].requires {
			if help, not := c.lacks(req.Agent(), req.Tool()); not {
				c.add(Error, []string{"agents", name}, help, "agent %s requires %s, and %s has no tool %q", name, req,
					req.Agent(), req.Tool())
			}
		}
	}
	if name, tool, ok := strings.Cut(c.cfg.MCP.Sampling, "."); ok {
		if help, not := c.lacks(name, tool); not {
			c.add(Error, []string{"mcp", "sampling"}, help, "mcp.sampling: %s has no tool %q", name, tool)
		}
	}
	if c.cfg.Gateway == nil {
		return
	}
	for i, exposed := range c.cfg.Gateway.Expose {
		name, tool, _ := strings.Cut(exposed, ".")
		if help, not := c.lacks(name, tool); not {
			c.add(Error, []string{"gateway", "expose", fmt.Sprintf("[%d]", i)}, help, "gateway.expose[%d]: %s has no "+
				"tool %q", i, name, tool)
		}
	}
}

// known is a hint at the tool that may have been meant.
func known(info agent.Info, tool string) string {
	var names []string
	for _, t := range info.Tools {
		names = append(names, t.Name)
	}
	return cmp.Or(nearest.Hint(tool, names), "it has no tools at all")
}
