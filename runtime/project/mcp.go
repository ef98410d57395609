package project

import (
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/nearest"
)

// MCP bounds the MCP endpoints of this process. Beyond a bound the peer is refused, or its session
// ends; nobody else notices.
type MCP struct {
	// Size of the largest HTTP request to the MCP endpoints of this process.
	MaxBody Size `yaml:"max_body" default:"4MiB"`
	// Size of any other message, in either direction. An answer that is larger fails its own call.
	MaxFrame Size `yaml:"max_frame" default:"16MiB"`
	// How many sessions are open at once on the gateway. One more takes the place of one that is
	// not used, see session_idle, or of one of the client that holds most, or gets 503. It is
	// less where the process may not open enough files (ulimit -n).
	MaxSessions int `yaml:"max_sessions" default:"1000"`
	// How many calls run at once on the gateway. One more is refused with "resource_exhausted".
	MaxCalls int `yaml:"max_calls" default:"16384"`
	// How many calls run at once on one session of the gateway. One more is refused likewise.
	MaxSessionCalls int `yaml:"max_session_calls" default:"4096"`
	// After this time without an open stream or a call a session may end: when max_sessions is
	// reached and another wants to open, the one that was not used for longest of the client that
	// holds most. "off" ends none for that.
	SessionIdle time.Duration `yaml:"session_idle" default:"10m" off:"-1"`
	// A session ends after this time, as soon as it has no call. Many clients do not open another.
	SessionLifetime time.Duration `yaml:"session_lifetime" default:"off" off:"-1"`
	// How long the headers of an HTTP request may take to arrive.
	HeaderTimeout time.Duration `yaml:"header_timeout" default:"5s"`
	// How long the body of an HTTP request may take to arrive.
	ReadTimeout time.Duration `yaml:"read_timeout" default:"30s"`
	// How long a client may take to read what is sent to it.
	WriteTimeout time.Duration `yaml:"write_timeout" default:"30s"`
	// After this time of silence on an SSE stream of the gateway a comment is sent, which keeps the
	// stream open.
	CommentInterval time.Duration `yaml:"comment_interval" default:"5s" off:"-1"`
	// How long an MCP server may say nothing. It is pinged 2.5 s before, or half of the time.
	// One that does not answer within 2 s is suspect, and asked again. After three pings without an
	// answer its session is over, if it has no call in flight; else when the deadlines of these
	// have passed. On Linux a program that was suspended by a signal (SIGSTOP) is given up within
	// 10 s. "off" does nothing of that. See agents.NAME.ping.
	PingInterval time.Duration `yaml:"ping_interval" default:"15s" off:"-1"`
	// How long calls may still run when stdin ends.
	Linger time.Duration `yaml:"linger" default:"20s"`
	// How much of what was sent over streamable HTTP is kept, for clients of the gateway that lose
	// their connection and come back. One session keeps a quarter of it at most.
	//
	// Sessions that can be resumed do without the fast path.
	Resume Size `yaml:"resume" default:"off" min:"64KiB" off:"-1"`
	// After this time a call without an answer closes its stream, and a client of protocol
	// 2025-11-25 comes back for the answer: for proxies that cut long requests. Needs mcp.resume.
	Poll time.Duration `yaml:"poll" default:"off" min:"1s" off:"-1"`
	// Secrets of at least 32 characters, such as "${env:OPENMAS_STATE_KEY}". They sign what clients
	// of protocol 2026-07-28 carry between the requests of a call that asks them something. The
	// first one signs, the others are accepted as well, so that a key can be replaced. Left out:
	// the processes of the project on this machine share a key in the state folder.
	//
	// The key in the folder is made when it is first needed, in the file request-state.key.
	RequestStateKeys []string `yaml:"request_state_keys" secret:"yes"`
	// The tool, as "agent.tool", that answers MCP servers that ask for a model when the caller has
	// none. Left out: such requests are refused.
	//
	// It takes an [agent.SampleRequest] and gives an [agent.SampleResult], or the answer as text.
	Sampling string `yaml:"sampling" off:""`
	// Plain calls of tools pass beside the MCP SDK, which is several times faster. "off" gives
	// every message to the SDK, to find faults.
	FastPath *bool `yaml:"fast_path" default:"true"`
}

// Limits bound the memory for payloads of the gateway: bodies and arguments from when they are read
// until they were served, results until their client has taken them. The process takes about three
// times that, since a result is encoded and sent.
type Limits struct {
	// Bytes for all sessions together. When they are used up, calls are refused with
	// "resource_exhausted" before they run. Left out: the lesser of 512 MiB and a quarter of what
	// the control group of the process allows.
	//
	// Results that do not fit fail, each alone. Payloads of less than 4 KiB do not count: the
	// limits of calls bound them.
	Memory Size `yaml:"memory" min:"1MiB" off:"-1"`
	// Bytes for one session: while so many wait, its calls are refused. One more result of any size
	// fits before. Left out: 16 MiB, or mcp.max_frame if that is more.
	SessionMemory Size `yaml:"session_memory" min:"64KiB"`
}

// minStateKey is the least number of characters of a key that signs.
const minStateKey = 32

func (v *validator) mcp(m *MCP) {
	if m.Poll > 0 && m.Resume < 0 {
		v.fail([]string{"mcp", "poll"}, `write mcp: {resume: 16MiB} too`, "has no effect without mcp.resume: the "+
			"client could not come back")
	}
	for i, key := range m.RequestStateKeys {
		if len(key) < minStateKey {
			v.fail([]string{"mcp", "request_state_keys", item(i)}, `make one with "openssl rand -hex 32"`,
				"a key of %d characters can be guessed: it needs at least %d", len(key), minStateKey)
		}
	}
	if m.Sampling == "" {
		return
	}
	keys := []string{"mcp", "sampling"}
	name, tool, ok := strings.Cut(m.Sampling, ".")
	if a, known := v.agents[name]; !ok || tool == "" {
		v.fail(keys, "", "%s is not a tool: write agent.tool", v.quote(keys, m.Sampling))
	} else if !known {
		v.fail(keys, nearest.Hint(name, v.names), "there is no agent %q", name)
	} else if a.AllowTools != nil && !slices.Contains(a.AllowTools, tool) {
		v.fail(keys, "", "%s is not among agents.%s.allow_tools", m.Sampling, name)
	}
}
