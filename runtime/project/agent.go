package project

import (
	"net/url"
	"time"

	"github.com/openmas/openmas/mcp"
)

// StopFirst is the word for an agent that cannot exist twice: see [Agent.Swap].
const StopFirst = "stop_first"

// How the process that hosts an agent reaches it: the words of the communicator key.
const (
	OverLocal  = "local"     // a direct call in this process
	OverPubSub = "pubsub"    // a request over the broker
	OverStdio  = "mcp-stdio" // MCP on the stdin and stdout of a child process
	OverSSE    = "mcp-sse"   // MCP over HTTP with server-sent events (2024-11-05)
	OverHTTP   = "mcp-http"  // MCP over streamable HTTP
)

// Kind is what an agent is made of.
type Kind string

// The kinds of agent.
const (
	KindType    Kind = "type"    // a Go struct of this program
	KindCommand Kind = "command" // an MCP server program that openmas starts
	KindURL     Kind = "url"     // an MCP server that runs elsewhere
)

// communicators are the ways each kind of agent can be reached, its default first. A url whose path
// ends in /sse has the second.
var communicators = map[Kind][]string{
	KindType:    {OverLocal, OverPubSub, OverStdio, OverSSE, OverHTTP},
	KindCommand: {OverStdio, OverSSE, OverHTTP},
	KindURL:     {OverHTTP, OverSSE},
}

// Agent is one agent. Exactly one of Type, Command and URL is set.
type Agent struct {
	// A Go struct, by the word under which the program registered it.
	Type string `yaml:"type"`
	// An MCP server program and its arguments. There is no shell. A name with a slash is relative
	// to the project file, any other is looked up in PATH.
	Command []string `yaml:"command"`
	// An MCP server elsewhere, http or https, without user and password.
	URL string `yaml:"url"`
	// How the agent is reached: "local" is a function call, "pubsub" a message over the broker,
	// "mcp-stdio" a process of its own, "mcp-sse" and "mcp-http" are MCP over HTTP. Left out:
	// "local" for a type, "mcp-stdio" for a command, "mcp-sse" for a url whose path ends in /sse,
	// "mcp-http" for any other url.
	Communicator string `yaml:"communicator" oneof:"local pubsub mcp-stdio mcp-sse mcp-http"`
	// Values for the fields of the Go struct, by their json names. An unknown name is an error.
	//
	// See [Fill].
	Config map[string]any `yaml:"config" only:"type; a program gets env and its arguments"`
	// Environment variables of the process. It gets these, PATH, HOME, LANG, TZ and VIRTUAL_ENV,
	// and nothing else.
	Env map[string]string `yaml:"env" only:"child"`
	// Working folder of the process. Left out: the project file's.
	Dir string `yaml:"dir" only:"child"`
	// HTTP headers that are sent with every request. Those of the connection and of MCP cannot be
	// set (Host, Content-Length, Transfer-Encoding, Connection, Mcp-Session-Id,
	// Mcp-Protocol-Version, Last-Event-ID).
	Headers map[string]string `yaml:"headers" only:"http"`
	// A token that is sent as "Authorization: Bearer".
	Token string `yaml:"token" only:"url" secret:"yes"`
	// Whom to trust at a url of https, and who we are there.
	TLS TLS `yaml:"tls" only:"url"`
	// How to get a token where the server asks for one.
	OAuth OAuth `yaml:"oauth" only:"url"`
	// How many sessions the calls are spread over. One session takes any number of calls at once.
	Sessions int `yaml:"sessions" default:"1" min:"1" max:"64" only:"url; a command has replicas"`
	// The tools that are listed and can be called. Left out: all.
	//
	// It is no key of Tools, where a tool's own name could be the same.
	AllowTools []string `yaml:"allow_tools" only:"foreign"`
	// Whether the server gets the W3C baggage of calls too, and not their trace context alone.
	Baggage bool `yaml:"baggage" only:"foreign"`
	// Whether the program learns from its environment where traces go, by the standard variables of
	// OpenTelemetry. It does not get their headers, which hold keys: give it those under env.
	Telemetry bool `yaml:"telemetry" only:"command"`
	// The newest version of MCP that the server is asked for. Left out: "2025-11-25". A server that
	// does not know "2026-07-28" is asked again for an older version. Not over mcp-sse.
	Protocol string `yaml:"protocol" oneof:"2025-11-25 2026-07-28" only:"foreign"`
	// How long the server may say nothing until it is pinged. Left out: mcp.ping_interval. "off" is
	// for one that minds: nobody notices then that it is frozen.
	Ping time.Duration `yaml:"ping" off:"-1" only:"foreign"`
	// After how long without a call the process is ended, at most a quarter later: its instance is
	// "idle" then, its tools stay listed, and the next call or event starts it. Left out: never.
	// Not for an agent with a Runner.
	IdleStop time.Duration `yaml:"idle_stop" only:"child"`
	// Folders that the server may work on: the answer to its request roots/list.
	Roots []string `yaml:"roots" only:"foreign"`
	// How many instances run on this host, each in a process of its own if the agent has processes.
	Replicas int `yaml:"replicas" default:"1" min:"1" max:"1024" only:"hosted; a url runs elsewhere"`
	// Which replicas of a Runner run: the first one, or all.
	Run string `yaml:"run" default:"first" oneof:"first all" only:"type; nothing else has a Runner"`
	// When the agent cannot start, or has failed for good, the whole run ends with exit code 1.
	Critical bool `yaml:"critical"`
	// Agents that are restarted when this one is back after it has failed, or was restarted by
	// openmas restart, and so do those that they name: for agents that are of no use with each
	// other's old state. They end their calls in flight first.
	RestartsWith []string `yaml:"restarts_with" only:"hosted; a url runs elsewhere"`
	// How a reload replaces the agent when its settings are others: it starts the new one before
	// the old one stops, or stops the old one first. That is for an agent that cannot exist twice,
	// since it has a port or a file to itself. Calls wait meanwhile (ready_wait).
	Swap string `yaml:"swap" default:"start_first" oneof:"start_first stop_first"`
	// What is particular to its start.
	Start AgentStart `yaml:"start" only:"hosted; a url has connect.timeout, a key of the project and of no agent"`
	// How the agent's tools are called, where that differs from the project's defaults.
	Policy `yaml:",inline" inherit:"defaults"`
	// What is particular to single tools, by the tool's name.
	Tools map[string]Policy `yaml:"tools" inherit:"agent"`
}

// TLS is for a server that is reached over TLS. Its files are PEM, relative to the project file.
type TLS struct {
	// File with the certificates to trust, in PEM. Left out: the system's.
	CAFile string `yaml:"ca_file"`
	// File with the certificate that we show to the server, in PEM.
	CertFile string `yaml:"cert_file"`
	// File with the key of that certificate, in PEM.
	KeyFile string `yaml:"key_file"`
}

// OAuth is the OAuth 2.0 client credentials grant. The MCP server says where its authorization
// server is.
type OAuth struct {
	// Client identifier for the OAuth 2.0 client credentials grant. The MCP server says which
	// authorization server to ask.
	ClientID string `yaml:"client_id"`
	// The secret of that client.
	ClientSecret string `yaml:"client_secret" secret:"yes"`
	// URL of the only authorization server that is asked, at whatever address. Without it: the one
	// that the MCP server names, if that is at a public https address, or where the MCP server is.
	Issuer string `yaml:"issuer"`
}

// An audience is a set of agents that a key is only for.
type audience struct {
	who string
	has func(a *Agent) bool
}

// audiences are the words of the tag only.
var audiences = map[string]audience{
	"type":    {"a type", func(a *Agent) bool { return a.Kind() == KindType }},
	"command": {"a command", func(a *Agent) bool { return a.Kind() == KindCommand }},
	"url":     {"a url", func(a *Agent) bool { return a.Kind() == KindURL }},
	"foreign": {"a command or url", func(a *Agent) bool {
		return a.Kind() == KindCommand || a.Kind() == KindURL
	}},
	"hosted": {"a type or command", func(a *Agent) bool {
		return a.Kind() == KindType || a.Kind() == KindCommand
	}},
	"child": {"a child process (a command, or a type over mcp-stdio)", func(a *Agent) bool {
		return a.Child()
	}},
	"http": {"an MCP server reached over HTTP", func(a *Agent) bool {
		return a.Kind() == KindURL || a.Kind() == KindCommand && a.Communicator != OverStdio
	}},
}

// Kind returns what the agent is made of; "" when none or several of Type, Command and URL are set.
func (a Agent) Kind() Kind {
	switch typed, program, address := a.Type != "", len(a.Command) > 0, a.URL != ""; {
	case typed && !program && !address:
		return KindType
	case program && !typed && !address:
		return KindCommand
	case address && !typed && !program:
		return KindURL
	}
	return ""
}

// Child reports whether the agent runs in a process of its own that openmas starts. Communicator
// must be set, as [Config.Complete] does.
func (a Agent) Child() bool {
	return len(a.Command) > 0 || a.Type != "" && a.Communicator == OverStdio
}

// defaultCommunicator is how an agent is reached that does not say it.
func (a *Agent) defaultCommunicator() string {
	known := communicators[a.Kind()]
	switch {
	case known == nil:
		return ""
	case a.URL != "":
		if u, err := url.Parse(a.URL); err == nil && mcp.TransportOf(u.Path) == mcp.SSE {
			return known[1]
		}
	}
	return known[0]
}
