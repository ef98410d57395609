package runtime

import (
	"math"
	"time"

	"github.com/openmas/openmas/mcp/server"
	"github.com/openmas/openmas/runtime/project"
)

// noFastPath is the switch as package mcp has it.
func noFastPath(m project.MCP) bool { return m.FastPath != nil && !*m.FastPath }

// gatewayLimits are those of the gateway.
func gatewayLimits(m project.MCP) server.Limits {
	l := privateLimits(m)
	l.Sessions, l.Calls, l.SessionCalls = m.MaxSessions, m.MaxCalls, m.MaxSessionCalls
	l.Idle, l.Lifetime, l.CommentInterval = orNever(m.SessionIdle), max(m.SessionLifetime, 0),
		orNever(m.CommentInterval)
	l.Resume, l.Poll = int(max(m.Resume, 0)), max(m.Poll, 0)
	return l
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
