package project

import (
	"encoding"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// How the process that hosts an agent reaches it: the words of the project file's communicator key.
const (
	OverLocal  = "local"     // a direct call in this process
	OverPubSub = "pubsub"    // a request over the broker
	OverStdio  = "mcp-stdio" // MCP on the stdin and stdout of a child process
	OverSSE    = "mcp-sse"   // MCP over HTTP with server-sent events (2024-11-05)
	OverHTTP   = "mcp-http"  // MCP over streamable HTTP
)

// The types of broker.
const (
	BrokerMemory = "memory"
	BrokerNATS   = "nats"
)

// Kind is what an agent is made of.
type Kind string

// The kinds of agent.
const (
	KindType    Kind = "type"    // a Go struct of this program
	KindCommand Kind = "command" // an MCP server program that openmas starts
	KindURL     Kind = "url"     // an MCP server that runs elsewhere
)

// Config is a project: its agents and how they are run. Load reads one from YAML, but
// it is an ordinary struct: a literal with the zero value for every default will do.
// In it zero means "the default"; in a file a key is left out for that, and an explicit
// 0 is an error. A Config must not be changed once a runtime has it.
type Config struct {
	// Project names the system to others that share its broker. Default "openmas".
	Project string `koanf:"project"`
	// Package is the folder of the Go main package with the agents' types, which the
	// openmas command builds and becomes. Empty: nothing is built.
	Package string `koanf:"package"`
	// State is the folder for what the agents and the runtime keep. Default ".openmas".
	State string `koanf:"state"`
	// Agents by name. A name is a DNS label of at most 32 characters; "openmas" is taken.
	Agents map[string]Agent `koanf:"agents"`
	// Defaults is the call policy of every tool that does not say otherwise.
	Defaults Policy `koanf:"defaults"`
	// Broker carries calls to agents over pubsub, and all events.
	Broker Broker `koanf:"broker"`
	// Gateway is the public MCP listener. Nil: there is none.
	Gateway *Gateway `koanf:"gateway"`
	// Events says what is particular to single topics, by topic.
	Events map[string]Event `koanf:"events"`
	// Telemetry says where traces go.
	Telemetry Telemetry `koanf:"telemetry"`
	// MCP limits what the MCP endpoints of this process accept, and says what MCP servers may ask
	// of it.
	MCP MCP `koanf:"mcp"`
	// Connect bounds the first contact with a command or url agent.
	Connect Connect `koanf:"connect"`
	// Reconnect is the wait between attempts to reach a lost agent again, for ever.
	Reconnect Reconnect `koanf:"reconnect"`
	// Restart is how often a Runner or a child process that ends is started again.
	Restart Restart `koanf:"restart"`
	// Child is how a child process is asked to stop.
	Child Child `koanf:"child"`
	// Drain bounds an orderly stop.
	Drain Drain `koanf:"drain"`

	// Dir is the absolute folder that relative paths start from: the project file's.
	// Empty: the working directory.
	Dir string `koanf:"-"`
	// File is the project file as it was named to Load, or "".
	File string `koanf:"-"`

	source *source           // where each value came from; nil without Load
	redact *strings.Replacer // nil when there is no secret
}

// Agent is one agent. Exactly one of Type, Command and URL is set.
type Agent struct {
	// Type is the word under which the program registered the agent's Go struct.
	Type string `koanf:"type"`
	// Command is an MCP server program and its arguments. There is no shell.
	Command []string `koanf:"command"`
	// URL is the http or https address of an MCP server.
	URL string `koanf:"url"`
	// Communicator is how the agent is reached, one of the Over… words. Defaults: local
	// for a type, mcp-stdio for a command; for a url mcp-sse when its path ends in /sse,
	// else mcp-http.
	Communicator string `koanf:"communicator"`
	// Config fills the Go struct of a type; see Fill.
	Config map[string]any `koanf:"config"`
	// Env is given to a child process, beside PATH, HOME, LANG, TZ and VIRTUAL_ENV.
	Env map[string]string `koanf:"env"`
	// Dir is the working directory of a child process. Default: the project file's folder.
	Dir string `koanf:"dir"`
	// Headers go with every HTTP request to the agent.
	Headers map[string]string `koanf:"headers"`
	// Token is sent to a url as Authorization: Bearer.
	Token string `koanf:"token"`
	// TLS says whom to trust at a url of https, and who we are there.
	TLS TLS `koanf:"tls"`
	// OAuth gets a token for a url, where the server asks for one.
	OAuth OAuth `koanf:"oauth"`
	// Sessions is the number of sessions to a url that calls are spread over, 1 to 64. Default 1: a
	// session takes any number of calls at once.
	Sessions int `koanf:"sessions"`
	// AllowTools narrows a command or url to these of its tools: the others are neither listed nor
	// called. Nil: all. It is no key of Tools, where a tool's own name could be the same.
	AllowTools []string `koanf:"allow_tools"`
	// Protocol is the newest version of MCP that a command or url is asked for: "2025-11-25", the
	// default, or "2026-07-28". One that does not know the latter is asked again in the earlier
	// way. Not over mcp-sse.
	Protocol string `koanf:"protocol"`
	// Roots are the folders that a command or url is told of when it asks what to work on. Default:
	// none.
	Roots []string `koanf:"roots"`
	// Replicas is the number of instances on this host, 1 to 1024. Default 1. Not for a url.
	Replicas int `koanf:"replicas"`
	// Run says which replicas of a Runner run: "first", the default, or "all".
	Run string `koanf:"run"`
	// Critical ends the whole run when the agent has failed for good.
	Critical bool `koanf:"critical"`
	// Policy is the call policy of the agent's tools, where it differs from the defaults.
	Policy `koanf:",squash"`
	// Tools says what is particular to single tools, by the tool's name.
	Tools map[string]Tool `koanf:"tools"`
}

// Tool is what is particular to one tool of an agent.
type Tool struct {
	Policy `koanf:",squash"`
	// Idempotent declares that running the tool twice does no harm, so that a call may
	// be repeated when its fate is unknown. Nil: what the tool says of itself, if its
	// agent can be believed.
	Idempotent *bool `koanf:"idempotent"`
}

// Policy is how a call is made. Zero fields are inherited: a tool's from its agent,
// an agent's from the project's defaults. See Config.PolicyFor.
type Policy struct {
	// Timeout is the deadline of one call, its retries included. Default 30 s.
	Timeout time.Duration `koanf:"timeout"`
	// Retry says how a call is repeated where that is safe.
	Retry Retry `koanf:"retry"`
}

// Retry is exponential backoff with full jitter.
type Retry struct {
	Attempts   int           `koanf:"attempts"`   // in all, the first included, 1 to 100; 1 is no retry. Default 3
	Initial    time.Duration `koanf:"initial"`    // wait before the second attempt. Default 100 ms
	Multiplier float64       `koanf:"multiplier"` // growth of the wait, at least 1. Default 2
	Max        time.Duration `koanf:"max"`        // longest wait. Default 10 s
}

// Broker is the broker between agents, and the bounds on what waits in it.
type Broker struct {
	// Type is "memory", the default: a broker in this process; or "nats": the processes of the
	// project, on one machine or many, share it; or the name of one that the program brings: see
	// [Options].
	Type string `koanf:"type"`
	// URLs of NATS servers: nats://host:4222 or tls://host:4222. None: a server embedded in the
	// first process of the project on this machine, which the others join.
	URLs []string `koanf:"urls"`
	// User and Password, or Token, or CredsFile (a JWT and its key), or NkeyFile (a seed), for
	// servers that ask.
	User      string `koanf:"user"`
	Password  string `koanf:"password"`
	Token     string `koanf:"token"`
	CredsFile string `koanf:"creds_file"`
	NkeyFile  string `koanf:"nkey_file"`
	// CAFile are the authorities to trust, CertFile and KeyFile who we are, all in PEM.
	CAFile   string `koanf:"ca_file"`
	CertFile string `koanf:"cert_file"`
	KeyFile  string `koanf:"key_file"`
	// SyncAlways has the embedded server write to the disk with each durable event, so that they
	// survive a power cut too.
	SyncAlways bool `koanf:"sync_always"`
	// Options are for a broker that the program brings.
	Options map[string]any `koanf:"options"`

	MaxInFlight int  `koanf:"max_in_flight"` // calls at once per instance. Default 64
	MaxQueue    int  `koanf:"max_queue"`     // calls waiting per instance; one more is refused. Default 1024
	MaxPayload  Size `koanf:"max_payload"`   // of one message. Default 1 MiB
}

// Event is what is particular to the events of one topic.
type Event struct {
	// Durable keeps events until they are handled, at least once for each agent that listens; else
	// they are delivered if possible. It needs broker nats.
	Durable bool `koanf:"durable"`
	// Attempts is how often a durable event is handled before it is put with the dead: see openmas
	// events. Default 5.
	Attempts int `koanf:"attempts"`
	// Backoff is the time before the second attempt, doubled with each, at most a minute. Default 1
	// s.
	Backoff time.Duration `koanf:"backoff"`
	// InOrder hands an agent the durable events one after the other, whichever process gets them.
	// Else those with one key are in order within a process, and an event that is tried again
	// elsewhere comes later.
	InOrder bool `koanf:"in_order"`
}

// Telemetry says where traces are sent. What is empty is taken from the standard
// OTEL_EXPORTER_OTLP_… environment variables; without an endpoint nothing is sent.
type Telemetry struct {
	Endpoint string `koanf:"endpoint"` // an http or https URL, or host:port
	Protocol string `koanf:"protocol"` // "http" (OTLP over HTTP with protobuf) or "grpc"
}

// Connect bounds the first contact with a command or url agent.
type Connect struct {
	Timeout time.Duration `koanf:"timeout"` // from start or dial to the end of the MCP handshake. Default 10 s
}

// Reconnect is the wait between attempts to reach a lost agent; it has 20 % of jitter.
type Reconnect struct {
	Initial    time.Duration `koanf:"initial"`    // Default 1 s
	Multiplier float64       `koanf:"multiplier"` // at least 1. Default 1.6
	Max        time.Duration `koanf:"max"`        // Default 30 s
}

// Restart bounds restarts. More than Limit within Window means one Backoff of
// rest; after GiveUpAfter rests the agent has failed.
type Restart struct {
	Limit       int           `koanf:"limit"`         // Default 5
	Window      time.Duration `koanf:"window"`        // Default 30 s
	Backoff     time.Duration `koanf:"backoff"`       // Default 15 s
	GiveUpAfter int           `koanf:"give_up_after"` // Default 3
}

// Child is how a child process is stopped: its stdin is closed, then it is told
// to terminate, then it is killed with all its descendants.
type Child struct {
	StdinWait time.Duration `koanf:"stdin_wait"` // after closing stdin. Default 2 s
	TermWait  time.Duration `koanf:"term_wait"`  // after SIGTERM. Default 3 s
}

// Drain bounds an orderly stop.
type Drain struct {
	Timeout time.Duration `koanf:"timeout"` // in all, from the signal to the exit. Default 25 s
}

// Kind returns what the agent is made of; "" when none or several of Type, Command and
// URL are set.
func (a Agent) Kind() Kind {
	var kinds []Kind
	if a.Type != "" {
		kinds = append(kinds, KindType)
	}
	if len(a.Command) > 0 {
		kinds = append(kinds, KindCommand)
	}
	if a.URL != "" {
		kinds = append(kinds, KindURL)
	}
	if len(kinds) != 1 {
		return ""
	}
	return kinds[0]
}

// Child reports whether the agent runs in a process of its own that openmas starts.
// Communicator must be set, as WithDefaults does.
func (a Agent) Child() bool {
	return len(a.Command) > 0 || a.Type != "" && a.Communicator == OverStdio
}

// Size is a number of bytes, written "4MiB", "64KiB" or "1000".
type Size int64

// Sizes for literals.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var (
	_ encoding.TextMarshaler   = Size(0)
	_ encoding.TextUnmarshaler = (*Size)(nil)
)

// String writes the size in the largest unit that leaves no fraction.
func (s Size) String() string {
	switch {
	case s != 0 && s%GiB == 0:
		return strconv.FormatInt(int64(s/GiB), 10) + "GiB"
	case s != 0 && s%MiB == 0:
		return strconv.FormatInt(int64(s/MiB), 10) + "MiB"
	case s != 0 && s%KiB == 0:
		return strconv.FormatInt(int64(s/KiB), 10) + "KiB"
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes the size as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a whole number of bytes with an optional unit: B, KiB, MiB or GiB.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := string(text), Size(1)
	for _, u := range []struct {
		name string
		size Size
	}{{"KiB", KiB}, {"MiB", MiB}, {"GiB", GiB}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/int64(unit) {
		return fmt.Errorf(`%q is not a size: write a whole number of bytes above 0 and a unit, like "512KiB" or "4MiB"`,
			text)
	}
	*s = Size(n) * unit
	return nil
}
