package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/budget"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// retryAfter is what a client that was turned away is told.
const retryAfter = 2 * time.Second

// An Identity is who talks to a server.
type Identity struct {
	// Identity is that of the calls. With neither a user nor an agent they are those of the user
	// [agent.Anonymous].
	//
	// Trusted: it is one of our own processes. What its `_meta` says about a call (its user and its
	// place in the tree of calls, its id, key and attempt) is believed, it may deliver events, and
	// it gets results in our own words. It is not for programs that merely were started by us.
	agent.Identity
	// Relays: it passes on the calls of many. What it says about the caller of a call, and the
	// source of an event, takes the place of Identity. Only with Trusted.
	Relays bool
}

func (i Identity) name() string { return cmp.Or(i.String(), agent.Anonymous) }

// fill writes who makes the call c and where in the tree of calls it stands; m is what the client
// says about that.
func (i Identity) fill(c *agent.Call, m codec.CallMeta) {
	c.From, c.Root = i.Identity, c.ID
	switch {
	case !i.Trusted && c.From == agent.Identity{}:
		c.From.User = agent.Anonymous
	case i.Trusted:
		if i.Relays && (m.Caller != "" || m.User != "") {
			c.From.Agent, c.From.Instance = m.Caller, m.Instance
		}
		c.From.User, c.From.Trusted = m.User, !m.Untrusted
		c.Root, c.Path, c.Depth, c.Budget = calls.ReadRoot(m.Root, c.ID), m.Path, m.Depth, m.Budget
	}
	if c.Path == nil && c.From.Agent != "" {
		c.Path = []string{c.From.Agent}
	}
}

// Options are common to all ways of hosting. The zero value is usable.
type Options struct {
	Logger  *slog.Logger // nil: slog.Default()
	Version string       // of the program, told to clients; "dev" when empty
	// OnRefused gets the requests that become no call: they are beyond a limit, or for what is not
	// offered. known lists the names that are, for tools and prompts. Those of trusted clients are
	// left out. It returns the trace of the refusal, for its error; empty without one. It is called
	// concurrently, and must be quick. Optional.
	OnRefused func(ctx context.Context, c *agent.Call, why *agent.Error, known func() []string) (trace string)
	// Describe says of which calls, by their metadata, the server tells in the context what carried
	// them, for spans; nil: of none. It must be quick, and may be called concurrently. See
	// calls.ArrivedBy.
	Describe func(meta map[string]string) bool
	// OnSessionEnd gets the sessions over HTTP that have ended. It must be quick. Optional.
	OnSessionEnd func(over mcp.Transport, opened time.Time)
	Limits       Limits
	// Identify says who sends a request over HTTP; an error turns it away with 401 (403 where its
	// code is permission_denied). A session belongs to the identity that opened it. nil: everybody
	// is anonymous. It is called for every request, concurrently, and must be quick.
	Identify func(*http.Request) (Identity, error)
	// Hosts are host names, besides this machine's, that requests to a loopback address may be for;
	// Origins are web origins whose pages may send requests, such as https://app.example.org.
	// Programs send no origin.
	Hosts, Origins []string
	// Process is what this server shares with the others of its process. nil: nothing.
	Process *Process
	// NoFastPath leaves all messages to the SDK. Calls of tools are slower then, and do the same.
	NoFastPath bool

	memory *budget.Budget // of Limits.Memory; nil: there is no bound
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Version = cmp.Or(o.Version, "dev")
	if o.Limits = o.Limits.WithDefaults(); o.Limits.Memory > 0 && o.memory == nil {
		o.memory = budget.New("limits.memory", o.Limits.Memory)
	}
	if o.Process == nil {
		o.Process = NewProcess(strings.ToLower(rand.Text()[:10]), nil)
	}
	return o
}

func (o Options) identify(r *http.Request) (Identity, error) {
	if o.Identify == nil {
		return Identity{}, nil
	}
	return o.Identify(r)
}

// writeJSON answers a request with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone: nobody is left to tell
}

var errNoSession = errors.New("the session was not opened by this server")

var errEnding = errors.New("the server is shutting down")
