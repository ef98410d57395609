package runtime

import (
	"cmp"
	"math"
	"time"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/cgroup"
	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/internal/descriptors"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// limitSessions bounds the calls that go to an agent through its sessions. Over the broker the
// callee bounds how many run, since no caller knows of the others: see service.Bounds.
func (r *Runtime) limitSessions(p planned, sessions *route.Pool) {
	slots := p.cfg.Communicator != project.OverPubSub
	tools := make(map[string]route.Limits, len(p.cfg.Tools))
	for tool := range p.cfg.Tools {
		tools[tool] = r.limitsOf(p, tool, slots)
	}
	sessions.Limit(r.limitsOf(p, "", slots), tools, func(i *route.Instance, tool string, now resilience.BreakerLook) {
		log := r.log.Warn
		if now.State != resilience.BreakerOpen {
			log = r.log.Info
		}
		log("the breaker of an instance is "+string(now.State), "agent", p.name, "instance", i.ID, "tool", tool,
			"failed",
			now.Failed, "of", now.All, "code", now.Code)
	})
}

// limitHosts bounds the calls that run in an agent of this process: one that is called as a
// function, where the project bounds it, and one behind the broker in its tools that have a number
// of their own.
func (r *Runtime) limitHosts(p planned, hosts *route.Pool) {
	local := p.cfg.Communicator == project.OverLocal
	if !local && p.cfg.Communicator != project.OverPubSub {
		return // its sessions are bounded
	}
	all, tools := route.DefaultLimits(), map[string]route.Limits{}
	if local && p.of.PolicyFor(p.name, "").MaxInFlight > 0 {
		all = r.limitsOf(p, "", true)
	}
	for tool, own := range p.cfg.Tools {
		if l := r.limitsOf(p, tool, true); own.MaxInFlight != 0 {
			tools[tool] = l
		}
	}
	if all.InFlight == 0 && len(tools) == 0 {
		return
	}
	for tool, l := range tools {
		l.Breaker = resilience.BreakerPolicy{}
		tools[tool] = l
	}
	all.Breaker = resilience.BreakerPolicy{}
	hosts.Limit(all, tools, nil)
}

// limitsOf are those of a policy; slots: calls are counted here.
func (r *Runtime) limitsOf(p planned, tool string, slots bool) route.Limits {
	c := p.of.PolicyFor(p.name, tool)
	l := route.Limits{Queue: c.MaxQueue, ReadyWait: max(c.ReadyWait, 0), Patience: c.Timeout / 2,
		Apart: p.cfg.Tools[tool].MaxInFlight != 0,
		Key:   func(key string) string { return p.of.PolicyKey(p.name, tool, key) }}
	if slots {
		l.InFlight = max(cmp.Or(c.MaxInFlight, project.DefaultMaxInFlight), 0)
	}
	if b := c.Breaker; b.Calls > 0 {
		l.Breaker = resilience.BreakerPolicy(b)
	}
	return l
}

// boundsOf are those of all instances of an agent here.
func (r *Runtime) boundsOf(p planned) communicator.Bounds {
	c := p.of.PolicyFor(p.name, "")
	running := cmp.Or(c.MaxInFlight, project.DefaultMaxInFlight) * p.cfg.Replicas
	if c.MaxInFlight < 0 {
		running = math.MaxInt32
	}
	return communicator.Bounds{MaxInFlight: running, MaxQueue: c.MaxQueue,
		Keys: p.of.PolicyKey(p.name, "", "max_in_flight") + ", " + p.of.PolicyKey(p.name, "", "max_queue")}
}

// noFastPath is the switch as package mcp has it.
func noFastPath(m project.MCP) bool { return m.FastPath != nil && !*m.FastPath }

// defaultMemory is limits.memory where the control group of the process allows more than four times
// as much.
const defaultMemory = 512 << 20

// gatewayLimits are those of the gateway.
func gatewayLimits(c *project.Config) server.Limits {
	m := c.MCP
	l := privateLimits(m)
	l.Memory, l.SessionMemory = int(max(c.Limits.Memory, 0)), int(c.Limits.SessionMemory)
	if c.Limits.Memory == 0 {
		l.Memory = int(min(defaultMemory, cgroup.Memory()/4))
	}
	l.Sessions, l.Calls, l.SessionCalls = m.MaxSessions, m.MaxCalls, m.MaxSessionCalls
	l.Idle, l.Lifetime, l.CommentInterval = orNever(m.SessionIdle), max(m.SessionLifetime, 0),
		orNever(m.CommentInterval)
	l.Resume, l.Poll = int(max(m.Resume, 0)), max(m.Poll, 0)
	return l
}

// boundByFiles lowers the number of sessions to those that the file descriptors of this process
// suffice for. A session beyond is refused; without that, an agent could not be started again.
func (r *Runtime) boundByFiles(l *server.Limits) {
	instances := 0
	for _, p := range r.hosted() {
		instances += p.sessions()
	}
	n, of, ok := descriptors.Sessions(instances)
	if most := l.WithDefaults().Sessions; !ok || n >= most {
		return
	}
	l.Sessions, l.SessionsKey = n, "open files, ulimit -n"
	if r.cfg.Gateway != nil {
		r.log.Warn("the gateway has fewer sessions than mcp.max_sessions: each takes file descriptors (ulimit -n)",
			"sessions", n, "max_sessions", r.cfg.MCP.MaxSessions, "descriptors", of)
	}
}

// orNever is a time that never comes in place of one that is off.
func orNever(d time.Duration) time.Duration {
	if d < 0 {
		return math.MaxInt64
	}
	return d
}

// privateLimits are those between processes of this system: what bounds how much strangers may ask
// for must not stop the agents' calls to each other.
func privateLimits(m project.MCP) server.Limits {
	return server.Limits{MaxBody: int(m.MaxBody), MaxFrame: int(m.MaxFrame), ReadTimeout: m.ReadTimeout,
		WriteTimeout: m.WriteTimeout, Linger: m.Linger}
}
