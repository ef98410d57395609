package server

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/budget"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
)

// SessionInfo describes a client's session on the server.
type SessionInfo struct {
	ID        string // for logs and lists; it opens nothing
	Transport mcp.Transport
	Agent     string // whose own endpoint it is on; empty: that of all agents
	Identity  string // the name it was opened under
	Client    string // what the client says it is: name and version
	Version   string // of the protocol; empty before the handshake
	Opened    time.Time
	Calls     int // running now
}

// session is the server's side of one session, whatever its transport.
type session struct {
	ep        *endpoint
	id        string
	transport mcp.Transport
	identity  Identity
	client    string // its address, host:port; empty without a network
	opened    time.Time
	meta      map[string]string // what tools may know of the session; not changed once calls come
	gate      calls.Gate        // its calls
	memory    *budget.Budget    // of its payloads; nil: there is no bound
	owed      atomic.Bool       // it had calls in flight when a drain began

	// ctx ends with the session, and so do its calls: the SDK does that only when a connection
	// breaks. running ends those calls alone: see cutCalls.
	ctx     context.Context
	cancel  context.CancelFunc
	running context.Context
	cut     context.CancelCauseFunc

	mu      sync.Mutex
	ss      *sdk.ServerSession
	name    string
	version string // of the protocol that is spoken; set by the handshake

	conn counting // counts what is not answered yet; nil on streamable HTTP, where use does
	use  streamableUse
	subs subscriptions
	// links are what its calls returned, and no agent lists.
	links   catalog.Links
	fast    fastPath
	answers answerIndex              // of streamable HTTP, for what the SDK answers
	keep    func(*sdk.ServerSession) // called by the handshake; may be nil

	forgotten chan struct{} // closed when the HTTP server does not know the session any more
}

// newSession makes a session whose calls end with ctx. Its cancel must be called. r opens it; nil:
// it is not over HTTP.
func newSession(ctx context.Context, ep *endpoint, t mcp.Transport, id Identity, r *http.Request) *session {
	c := &session{ep: ep, id: rand.Text()[:10], transport: t, identity: id, opened: time.Now(),
		forgotten: make(chan struct{})}
	if c.meta = map[string]string{}; r != nil {
		c.meta, c.client = headerMeta(r.Header), r.RemoteAddr
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.running, c.cut = context.WithCancelCause(c.ctx) // ends with it
	c.meta["client.id"] = c.id
	return c
}

// limitMemory gives the session its share of the memory for payloads.
func (c *session) limitMemory() {
	if c.memory = c.ep.o.memory.Session("limits.session_memory", c.ep.o.Limits.SessionMemory); c.memory != nil {
		context.AfterFunc(c.ctx, c.memory.Close)
	}
}

// counting is a connection that knows how many of its requests are not answered yet.
type counting interface {
	Idle() <-chan struct{}
	Close() error
}

// connected notes what the session works with.
func (c *session) connected(ss *sdk.ServerSession, conn counting) {
	c.mu.Lock()
	c.ss, c.conn = ss, conn
	c.mu.Unlock()
}

// awaitAnswers returns at the next moment in which every request has its answer written, or ctx
// ends. A call has ended a moment before that.
func (c *session) awaitAnswers(ctx context.Context) {
	idle := c.use.Idle
	if _, conn := c.parts(); conn != nil {
		idle = conn.Idle
	}
	select {
	case <-idle():
	case <-c.forgotten:
	case <-ctx.Done():
	}
}

// bind has a request end with the session's calls, unless it does so already.
func (c *session) bind(ctx context.Context, r *request) (context.Context, func()) {
	if r.bound || c.running == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.running, cancel)
	return ctx, func() { stop(); cancel() }
}

// errCut ends the calls that take longer than the server may take to stop.
var errCut = errors.New("the system was stopped")

// cutCalls ends the calls that run: each is still answered.
func (c *session) cutCalls() {
	c.cut(errCut)
	c.fast.cancelRunning()
}

// ofCut is the error of a call that may have ended because its session's were cut. What did not run
// can be made again; of what did nobody knows how far it came.
func (c *session) ofCut(err error) error {
	if err == nil || !errors.Is(context.Cause(c.running), errCut) || agent.CodeOf(err) != agent.CodeCanceled {
		return err
	}
	e := *agent.AsError(err)
	if e.Code, e.Message = agent.CodeOutcomeUnknown, errCut.Error(); e.NotExecuted {
		e.Code, e.RetryAfter = agent.CodeUnavailable, retryAfter
	}
	return &e
}

func (c *session) parts() (*sdk.ServerSession, counting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ss, c.conn
}

// headerMeta is what tools see of the request that opened the session: who it says it is and its
// own headers (X-…), nothing that could be a credential.
func headerMeta(h http.Header) map[string]string {
	out := map[string]string{}
	for k, v := range h {
		k = strings.ToLower(k)
		secret := strings.Contains(k, "key") || strings.Contains(k, "token") || strings.Contains(k, "auth") ||
			strings.Contains(k, "secret")
		if (k == "user-agent" || strings.HasPrefix(k, "x-")) && !secret && len(v) > 0 && len(v[0]) <= 1024 &&
			len(out) < 32 {
			out[k] = v[0]
		}
	}
	return out
}

type sessionKey struct{}

func withSession(ctx context.Context, c *session) context.Context {
	return context.WithValue(ctx, sessionKey{}, c)
}

// sessionFrom finds the session that a handler of the SDK works for: the context of its connection
// leads there.
func sessionFrom(ctx context.Context) *session {
	c, _ := ctx.Value(sessionKey{}).(*session)
	return c
}

// requestIDKey is that of the JSON-RPC id of the request that is served in a context.
type requestIDKey struct{}

// setInitialized notes what the handshake told.
func (c *session) setInitialized(ss *sdk.ServerSession, p *sdk.InitializeParams) {
	c.mu.Lock()
	c.ss, c.version = ss, codec.NegotiatedVersion(p.ProtocolVersion)
	c.fast.stateless.Store(false)
	c.nameLocked(p.ClientInfo)
	c.mu.Unlock()
	if c.keep != nil {
		c.keep(ss)
	}
}

// setStateless notes what a request says that needs no handshake.
func (c *session) setStateless(info *sdk.Implementation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.version == codec.VersionUnknown {
		c.version = codec.Version20260728
		c.fast.stateless.Store(true)
	}
	if c.version == codec.Version20260728 && c.name == "" {
		c.nameLocked(info)
	}
}

func (c *session) nameLocked(info *sdk.Implementation) {
	if info == nil {
		return
	}
	c.name = strings.TrimSpace(info.Name + " " + info.Version)
	c.meta = maps.Clone(c.meta)
	c.meta["client.name"] = c.name
}

// protocol is the version of the session's protocol, and its metadata.
func (c *session) protocol() (version string, meta map[string]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version, c.meta
}

func (c *session) info() SessionInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return SessionInfo{ID: c.id, Transport: c.transport, Agent: c.ep.agent, Identity: c.identity.name(), Client: c.name,
		Version: c.version,
		Opened:  c.opened, Calls: c.gate.InFlight()}
}

// maxSubscriptions is how many resources one session may subscribe to: a template stands for any
// number of them.
const maxSubscriptions = 1000

// subscriptions are a session's.
type subscriptions struct {
	mu   sync.Mutex
	uris map[string]bool
}

func (s *subscriptions) add(uri string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.uris) >= maxSubscriptions && !s.uris[uri] {
		return agent.Refusedf(agent.CodeResourceExhausted, "%d resources are subscribed to on this session, the limit",
			maxSubscriptions)
	}
	if s.uris == nil {
		s.uris = map[string]bool{}
	}
	s.uris[uri] = true
	return nil
}

func (s *subscriptions) remove(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uris, uri)
}
