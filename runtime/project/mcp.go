package project

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/mcp/server"
)

// TokenUser is the identity that the gateway's one token stands for.
const TokenUser = "user"

// Gateway is the HTTP listener that offers agents to the MCP world.
type Gateway struct {
	// Listen is host:port. Port 0 takes a free one. Default "127.0.0.1:8765". Beyond loopback it
	// needs a token.
	Listen string `koanf:"listen"`
	// Expose names the agents ("editor") and tools ("notes.search") that can be seen.
	// Nil: all agents. Empty but not nil: none but the runtime's own.
	Expose []string `koanf:"expose"`
	// Token is asked of every client, as Authorization: Bearer, on every path but the health
	// checks; whoever has it is "user". Without one, and without Tokens, everybody is anonymous.
	Token string `koanf:"token"`
	// Tokens are further tokens, each under the name that it stands for. A session belongs to the
	// name that opened it.
	Tokens map[string]string `koanf:"tokens"`
	// Hosts are names, besides localhost and loopback addresses, that requests to a loopback
	// listener may be for: those of a reverse proxy on this machine.
	Hosts []string `koanf:"hosts"`
	// Origins are web origins whose pages may use the gateway, like "https://app.example.org".
	// Programs send none.
	Origins []string `koanf:"origins"`
}

func (g *Gateway) withDefaults() *Gateway {
	if g == nil {
		return nil
	}
	out := *g
	out.Listen = cmp.Or(g.Listen, "127.0.0.1:8765")
	return &out
}

// MCP bounds the MCP endpoints of this process. Beyond a bound the peer is refused, or its
// session ends; nobody else notices.
type MCP struct {
	MaxBody Size `koanf:"max_body"` // of an HTTP request. Default 4 MiB
	// of any other message, in either direction. Default 16 MiB
	MaxFrame    Size `koanf:"max_frame"`
	MaxSessions int  `koanf:"max_sessions"` // at once on the gateway. Default 1000
	MaxCalls    int  `koanf:"max_calls"`    // running at once on the gateway. Default 16384
	// running at once on one session of the gateway. Default 4096
	MaxSessionCalls int           `koanf:"max_session_calls"`
	SessionIdle     time.Duration `koanf:"session_idle"`     // without an open stream or a call. Default 10 min
	SessionLifetime time.Duration `koanf:"session_lifetime"` // then closed between two calls. Default 1 h
	HeaderTimeout   time.Duration `koanf:"header_timeout"`   // for a request's headers to arrive. Default 5 s
	ReadTimeout     time.Duration `koanf:"read_timeout"`     // for a request's body to arrive. Default 30 s
	WriteTimeout    time.Duration `koanf:"write_timeout"`    // for a client to take what is sent to it. Default 30 s
	// of silence on an SSE stream, then a comment is sent. Default 15 s
	Ping   time.Duration `koanf:"ping"`
	Linger time.Duration `koanf:"linger"` // for calls still running when stdin ends. Default 20 s
	// Resume is how much of what was sent to clients of streamable HTTP on the gateway is kept, in
	// all, so that one that loses its connection can come back for the rest, by Last-Event-ID; a
	// session keeps a quarter at most. Such sessions do without the fast path. Default: nothing
	// is kept.
	Resume Size `koanf:"resume" json:",omitzero"`
	// Poll is how long the stream of a call stays open that has no answer yet, with a client of
	// protocol 2025-11-25: then it is told to come back. Needs Resume. Default: to the end.
	Poll time.Duration `koanf:"poll"`
	// Sampling is the tool, as agent.tool, that answers when the server of a command or url asks
	// for a model (sampling/createMessage) and the caller of the moment has none. It takes an
	// [agent.SampleRequest] and gives an [agent.SampleResult], or the answer as text. Default: such
	// requests are refused.
	Sampling string `koanf:"sampling"`
	// FastPath lets plain calls of tools pass beside the MCP SDK, on both sides, which is several
	// times faster. What they do is the same; false is for finding faults. Nil: true.
	FastPath *bool `koanf:"fast_path"`
}

func defaultMCP() MCP {
	return MCP{
		MaxBody: 4 * MiB, MaxFrame: 16 * MiB, MaxSessions: 1000, MaxCalls: 16384, MaxSessionCalls: 4096,
		SessionIdle: 10 * time.Minute, SessionLifetime: time.Hour,
		HeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		Ping: 15 * time.Second, Linger: 20 * time.Second,
		FastPath: new(true),
	}
}

// over fills the zero fields of m from base.
func (m MCP) over(base MCP) MCP {
	return MCP{
		MaxBody:         cmp.Or(m.MaxBody, base.MaxBody),
		MaxFrame:        cmp.Or(m.MaxFrame, base.MaxFrame),
		MaxSessions:     cmp.Or(m.MaxSessions, base.MaxSessions),
		MaxCalls:        cmp.Or(m.MaxCalls, base.MaxCalls),
		MaxSessionCalls: cmp.Or(m.MaxSessionCalls, base.MaxSessionCalls),
		SessionIdle:     cmp.Or(m.SessionIdle, base.SessionIdle),
		SessionLifetime: cmp.Or(m.SessionLifetime, base.SessionLifetime),
		HeaderTimeout:   cmp.Or(m.HeaderTimeout, base.HeaderTimeout),
		ReadTimeout:     cmp.Or(m.ReadTimeout, base.ReadTimeout),
		WriteTimeout:    cmp.Or(m.WriteTimeout, base.WriteTimeout),
		Ping:            cmp.Or(m.Ping, base.Ping),
		Linger:          cmp.Or(m.Linger, base.Linger),
		Resume:          cmp.Or(m.Resume, base.Resume),
		Poll:            cmp.Or(m.Poll, base.Poll),
		Sampling:        cmp.Or(m.Sampling, base.Sampling),
		FastPath:        cmp.Or(m.FastPath, base.FastPath),
	}
}

func (v *validator) mcp() {
	m := v.c.MCP
	positive := map[string]bool{
		"max_body": m.MaxBody > 0, "max_frame": m.MaxFrame > 0, "max_sessions": m.MaxSessions > 0,
		"max_calls":         m.MaxCalls > 0,
		"max_session_calls": m.MaxSessionCalls > 0, "session_idle": m.SessionIdle > 0,
		"session_lifetime": m.SessionLifetime > 0,
		"header_timeout":   m.HeaderTimeout > 0, "read_timeout": m.ReadTimeout > 0, "write_timeout": m.WriteTimeout > 0,
		"ping": m.Ping > 0, "linger": m.Linger > 0,
	}
	for _, key := range sortedKeys(positive) {
		if !positive[key] {
			v.fail([]string{"mcp", key}, "", "must be more than 0")
		}
	}
	v.resumption()
	if m.Sampling == "" {
		return
	}
	keys := []string{"mcp", "sampling"}
	name, tool, ok := strings.Cut(m.Sampling, ".")
	if a, known := v.c.Agents[name]; !ok || tool == "" {
		v.fail(keys, "", "%s is not a tool: write agent.tool", v.quote(keys, m.Sampling))
	} else if !known {
		v.fail(keys, nearest.Hint(name, v.c.AgentNames()), "there is no agent %q", name)
	} else if a.AllowTools != nil && !slices.Contains(a.AllowTools, tool) {
		v.fail(keys, "", "%s is not among agents.%s.allow_tools", m.Sampling, name)
	}
}

// leastResume is the least that is worth being kept, and leastPoll the shortest time after which
// clients may be made to come back.
const (
	leastResume = 64 * KiB
	leastPoll   = time.Second
)

func (v *validator) resumption() {
	m, poll := v.c.MCP, []string{"mcp", "poll"}
	if m.Resume != 0 && m.Resume < leastResume {
		v.fail([]string{"mcp", "resume"}, "leave the key out where nothing is to be kept", "%v is too little: at "+
			"least %v", m.Resume, leastResume)
	}
	switch {
	case m.Poll == 0:
	case m.Poll < leastPoll:
		v.fail(poll, "", "%v is too short: at least %v", m.Poll, leastPoll)
	case m.Resume == 0:
		v.fail(poll, `write mcp: {resume: 16MiB} too`, "has no effect without mcp.resume: the client could not come "+
			"back")
	}
}

func (v *validator) gateway() {
	g := v.c.Gateway
	if g == nil {
		return
	}
	at := func(key ...string) []string { return append([]string{"gateway"}, key...) }
	if v.address(at("listen"), g.Listen) && !onLoopback(g.Listen) && g.Token == "" && len(g.Tokens) == 0 {
		v.fail(at("listen"), `write gateway: {token: "${env:OPENMAS_TOKEN}"}, or listen on 127.0.0.1`,
			"%s can be reached from other machines, so clients need a token", v.quote(at("listen"), g.Listen))
	}
	if g.Token != "" || v.c.Position(at("token")...) != (Position{}) { // an empty variable must not open the door
		v.token(at("token"), g.Token)
	}
	seen := map[string]bool{g.Token: g.Token != ""}
	for _, name := range sortedKeys(g.Tokens) {
		keys := at("tokens", name)
		switch {
		case !agentName.MatchString(name):
			v.fail(keys, "lower-case letters, digits and hyphens, a letter first, at most 32", "%q is not a name", name)
		case name == server.Anonymous || name == runtimeAgent || name == TokenUser && g.Token != "":
			v.fail(keys, "", "the name %q is taken", name)
		case v.token(keys, g.Tokens[name]) && seen[g.Tokens[name]]:
			v.fail(keys, "give everybody a token of their own", "the token stands for somebody else already")
		}
		seen[g.Tokens[name]] = true
	}
	for i, host := range g.Hosts {
		if host == "" || strings.ContainsAny(host, ":/ ") {
			v.fail(at("hosts", Item(i)), `write a name without a port, like "agents.example.org"`,
				"%s is not a host name", v.quote(at("hosts", Item(i)), host))
		}
	}
	for i, origin := range g.Origins {
		if u, err := url.Parse(origin); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" ||
			u.RawQuery != "" || u.User != nil {
			v.fail(at("origins", Item(i)), `write scheme://host, like "https://app.example.org"`,
				"%s is not a web origin", v.quote(at("origins", Item(i)), origin))
		}
	}
	v.exposed(g.Expose)
}

func (v *validator) exposed(entries []string) {
	for i, entry := range entries {
		keys := []string{"gateway", "expose", Item(i)}
		name, tool, cut := strings.Cut(entry, ".")
		if _, ok := v.c.Agents[name]; !ok && name != runtimeAgent {
			known := append(v.c.AgentNames(), runtimeAgent)
			v.fail(keys, nearest.Hint(name, known), "there is no agent %s", v.quote(keys, name))
		} else if cut && tool == "" {
			v.fail(keys, "write agent or agent.tool", "the tool after the dot is missing")
		}
	}
}

// token checks what goes into an Authorization header. The message never shows it.
func (v *validator) token(keys []string, token string) bool {
	if token == "" {
		v.fail(keys, "leave the key out where no token is wanted", "the token is empty")
		return false
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.fail(keys, "", "a token is made of printable ASCII characters without spaces")
		return false
	}
	return true
}

// onLoopback reports whether only this machine can reach a listener.
func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
