package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/gate"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// endpoint is one MCP server: some agents under one naming, whatever transports its sessions use.
// The SDK's server holds the lists and speaks the protocol; what is called comes to serveCall.
type endpoint struct {
	o      Options
	agent  string // the only agent; empty: several, with gateway names
	open   bool   // agents that are not listed can be called as agent.tool
	caller agent.Caller
	gate   *gate.Gate // of calls
	posts  gate.Gate  // of HTTP requests that bring messages
	server *sdk.Server
	key    []byte // signs what clients carry from one round of a call to the next
	name   naming
	watch  func(ctx context.Context, agent, uri string) error // a client subscribes; may be nil

	self     *sdk.Implementation // what results of protocol 2026-07-28 are signed with
	selfJSON []byte

	fastCalls  atomic.Int64 // calls that took the fast path
	lastClient atomic.Pointer[clientInfo]

	catalog atomic.Pointer[catalog]
	mu      sync.Mutex // held while the catalog and the SDK's lists change
}

type endpointConfig struct {
	Options
	agent        string
	open         bool
	caller       agent.Caller
	gate         *gate.Gate
	title        string
	instructions string
	experimental map[string]any
	watch        func(ctx context.Context, agent, uri string) error
}

// pageSize is large: some clients read the first page of a list only, and a page of a thousand is
// still far below the limit of messages.
const pageSize = 1000

// soleEndpoint is that of one agent.
func soleEndpoint(o Options, info agent.Info, caller agent.Caller, gate *gate.Gate,
	watch func(ctx context.Context, agent, uri string) error) *endpoint {
	o.Version = cmp.Or(info.Version, o.Version)
	return newEndpoint(endpointConfig{Options: o, agent: info.Name, caller: caller, gate: gate, title: info.Name,
		instructions: info.Description,
		experimental: codec.ToExperimental(info), watch: watch}, []agent.Info{info})
}

func newEndpoint(c endpointConfig, agents []agent.Info) *endpoint {
	e := &endpoint{o: c.Options, agent: c.agent, open: c.open, caller: c.caller, gate: c.gate, name: GatewayName,
		watch: c.watch, key: newStateKey()}
	if c.agent != "" {
		e.name = bareName
	}
	e.self = &sdk.Implementation{Name: c.title, Version: c.Version}
	e.selfJSON, _ = json.Marshal(e.self) // strings: cannot fail
	e.server = sdk.NewServer(e.self, &sdk.ServerOptions{
		Instructions: c.instructions,
		Logger:       slog.New(debugLog{c.Logger.Handler()}),
		Capabilities: &sdk.ServerCapabilities{
			Logging: &sdk.LoggingCapabilities{}, Completions: &sdk.CompletionCapabilities{},
			Tools:   &sdk.ToolCapabilities{ListChanged: true},
			Prompts: &sdk.PromptCapabilities{ListChanged: true}, Resources: &sdk.ResourceCapabilities{ListChanged: true,
				Subscribe: true},
			Experimental: c.experimental,
		},
		PageSize:         pageSize,
		SubscribeHandler: e.subscribe, UnsubscribeHandler: e.unsubscribe,
	})
	e.server.AddReceivingMiddleware(e.receive)
	e.server.AddSendingMiddleware(sendOnPost)
	e.catalog.Store(newCatalog(nil, e.name, c.Logger))
	e.refresh(agents)
	return e
}

// refresh makes the endpoint offer what the agents offer now. Clients are told when a list has
// changed.
func (e *endpoint) refresh(agents []agent.Info) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, now := e.catalog.Load(), newCatalog(agents, e.name, e.o.Logger)
	e.catalog.Store(now)
	diff(old.tools, now.tools, e.server.RemoveTools, func(name string, t tool) {
		e.addListed("tool", name, func() {
			e.server.AddTool(codec.ToTool(t.info, name),
				func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
					return e.callTool(ctx, req.Session, req.Params)
				})
		})
	})
	diff(old.prompts, now.prompts, e.server.RemovePrompts, func(name string, p prompt) {
		e.addListed("prompt", name, func() {
			e.server.AddPrompt(codec.ToPrompt(p.info, name),
				func(ctx context.Context, req *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
					return e.getPrompt(ctx, req.Session, req.Params)
				})
		})
	})
	read := func(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
		return e.readResource(ctx, req.Session, req.Params)
	}
	diff(old.resources, now.resources, func(keys ...string) {
		e.server.RemoveResources(keys...)
		e.server.RemoveResourceTemplates(keys...)
	}, func(key string, r resource) {
		e.addListed("resource", key, func() {
			if r.info.Template != "" {
				e.server.AddResourceTemplate(codec.ToTemplate(r.info), read)
			} else {
				e.server.AddResource(codec.ToResource(r.info), read)
			}
		})
	})
}

// diff removes what is gone and adds what is new or different.
func diff[V any](old, now map[string]V, remove func(...string), add func(string, V)) {
	var gone []string
	for name := range old {
		if _, ok := now[name]; !ok {
			gone = append(gone, name)
		}
	}
	if len(gone) > 0 {
		remove(gone...)
	}
	for name, v := range now {
		if o, ok := old[name]; !ok || !reflect.DeepEqual(o, v) {
			add(name, v)
		}
	}
}

// addListed adds one thing to the SDK's lists. The SDK panics at what it cannot list, and foreign
// servers describe all sorts of things.
func (e *endpoint) addListed(kind, name string, add func()) {
	defer func() {
		if p := recover(); p != nil {
			e.o.Logger.Warn("a "+kind+" cannot be listed", "name", name, "reason", fmt.Sprint(p))
		}
	}()
	add()
}

// receive is the SDK's middleware. What leads to an agent is served here and not by the SDK's
// lookup, which knows listed names only.
func (e *endpoint) receive(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, req sdk.Request) (res sdk.Result, err error) {
		defer func() {
			if p := recover(); p != nil {
				e.o.Logger.ErrorContext(ctx, "panic in a request", "method", method, "panic", fmt.Sprint(p), "stack",
					string(debug.Stack()))
				res, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"}
			}
		}()
		ss, ok := req.GetSession().(*sdk.ServerSession)
		if !ok {
			return next(ctx, method, req)
		}
		if c := sessionFrom(ctx); c != nil && c.identity.Trusted && e.o.Limits.Resume <= 0 {
			// The protocol with sessions does not take a closed connection for a cancellation, but
			// ours cannot come back for an answer.
			if post := c.use.of(req.GetExtra()); post != nil {
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(post, cancel)()
			}
		}
		switch p := req.GetParams().(type) {
		case *sdk.CallToolParamsRaw:
			defer e.poll(req.GetExtra())()
			return orError(e.callTool(ctx, ss, p))
		case *sdk.GetPromptParams:
			return orError(e.getPrompt(ctx, ss, p))
		case *sdk.ReadResourceParams:
			return orError(e.readResource(ctx, ss, p))
		case *sdk.CompleteParams:
			return orError(e.complete(ctx, ss, p))
		case *sdk.InitializeParams:
			if res, err = next(ctx, method, req); err == nil {
				e.afterInitialize(ctx, next, ss, p)
			}
			return res, err
		}
		res, err = next(ctx, method, req)
		c := sessionFrom(ctx)
		if c == nil || err != nil {
			return res, err
		}
		switch method {
		case codec.MethodInitialized:
			era, _ := c.protocol()
			// not before: the SDK's session refuses to ask anything until now
			c.fast.open.Store(era != codec.VersionUnknown && era <= codec.Version20251125)
		case codec.MethodDiscover:
			// else the transport does not speak it
			if p := ss.InitializeParams(); p != nil && p.ProtocolVersion > codec.Version20251125 {
				c.setStateless(p.ClientInfo)
			}
		}
		return res, err
	}
}

// orError keeps a nil pointer out of the interface.
func orError[R sdk.Result](res R, err error) (sdk.Result, error) {
	if err != nil {
		return nil, err
	}
	return res, nil
}

var errNoSession = errors.New("the session was not opened by this host")

// afterInitialize notes what the handshake said. The client gets log messages from level info on,
// until it says otherwise: the SDK sends none before.
func (e *endpoint) afterInitialize(ctx context.Context, next sdk.MethodHandler, ss *sdk.ServerSession,
	p *sdk.InitializeParams) {
	c := sessionFrom(ctx)
	if c == nil {
		return
	}
	c.setInitialized(ss, p)
	if _, err := next(ctx, "logging/setLevel", &sdk.ServerRequest[*sdk.SetLoggingLevelParams]{Session: ss,
		Params: &sdk.SetLoggingLevelParams{Level: "info"}}); err != nil {
		e.o.Logger.DebugContext(ctx, "set the first log level of a session", "session", c.id, "error", err)
	}
}

// describe is what a gateway tells its clients about its agents.
func describe(agents []agent.Info) string {
	var b strings.Builder
	for _, a := range agents {
		if a.Description != "" {
			fmt.Fprintf(&b, "%s: %s\n", a.Name, a.Description)
		}
	}
	return strings.TrimSpace(b.String())
}
