package server

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/stack"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/listing"
	"github.com/openmas/openmas/mcp/internal/wire"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
)

// receive is the SDK's middleware. What leads to an agent is served here and not by the SDK's
// lookup, which knows listed names only.
func (e *endpoint) receive(next sdk.MethodHandler) sdk.MethodHandler {
	return func(ctx context.Context, method string, req sdk.Request) (res sdk.Result, err error) {
		defer func() {
			if p := recover(); p != nil {
				e.o.Logger.ErrorContext(ctx, "panic in a request", "method", method, "panic", fmt.Sprint(p), "stack",
					stack.OfPanic())
				res, err = nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "internal error"}
			}
		}()
		ss, ok := req.GetSession().(*sdk.ServerSession)
		if !ok {
			return next(ctx, method, req)
		}
		if c := sessionFrom(ctx); c != nil && e.o.Limits.Resume <= 0 {
			post := c.use.of(req.GetExtra())
			if post != nil {
				ctx = withPost(ctx, post)
			}
			// The protocol with sessions does not take a closed connection for a cancellation, but
			// ours cannot come back for an answer.
			if post != nil && c.identity.Trusted {
				var cancel context.CancelFunc
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(post, cancel)()
			}
		}
		if c := sessionFrom(ctx); c != nil && c.memory != nil {
			held := &heldResult{of: c.memory}
			defer held.hand()
			ctx = context.WithValue(ctx, heldResultKey{}, held)
		}
		if extra := req.GetExtra(); extra != nil && e.o.Describe != nil {
			ctx = context.WithValue(ctx, requestIDKey{}, extra.Header.Get(wire.IDHeader))
		}
		meta := metaOf(req)
		why := codec.OddParams(meta)
		if version, _ := meta[sdk.MetaKeyProtocolVersion].(string); version > codec.Version20251125 && why == "" {
			if _, bad := codec.CarriedInputs(meta); bad != nil {
				why = bad.Error()
			}
		}
		if why != "" {
			if !strings.HasPrefix(method, "notifications/") {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "invalid params: " + why}
			}
			e.o.Logger.DebugContext(ctx, "a notification is not as MCP has it", "method", method, "reason", why)
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
		case *sdk.ListToolsParams:
			p = cmp.Or(p, &sdk.ListToolsParams{})
			return e.list(catalog.Tools, p.Cursor, p.Meta)
		case *sdk.ListPromptsParams:
			p = cmp.Or(p, &sdk.ListPromptsParams{})
			return e.list(catalog.Prompts, p.Cursor, p.Meta)
		case *sdk.ListResourcesParams:
			p = cmp.Or(p, &sdk.ListResourcesParams{})
			return e.list(catalog.Resources, p.Cursor, p.Meta)
		case *sdk.ListResourceTemplatesParams:
			p = cmp.Or(p, &sdk.ListResourceTemplatesParams{})
			return e.list(catalog.Templates, p.Cursor, p.Meta)
		case *sdk.SetLoggingLevelParams:
			if p == nil || !codec.IsLevel(string(p.Level)) {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "MCP has no such log level"}
			}
		case *sdk.CancelledParams:
			if c := sessionFrom(ctx); c != nil {
				c.fast.cancelCall(p)
			}
		case *sdk.InitializeParams:
			if ss.InitializeParams() != nil {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest,
					Message: "this session is initialized already: a client does it once, or opens another session"}
			}
			negotiateHandshake(p)
			if res, err = next(ctx, method, req); err == nil {
				e.afterInitialize(ctx, next, ss, p)
			}
			return res, err
		case *sdk.InitializedParams:
			if c := sessionFrom(ctx); c != nil && c.fast.open.Load() {
				return nil, nil // for the SDK it would be an error, which nobody can act on
			}
		}
		res, err = next(ctx, method, req)
		c := sessionFrom(ctx)
		if c == nil || err != nil {
			return res, err
		}
		switch method {
		case codec.MethodInitialized:
			version, _ := c.protocol()
			// not before: the SDK's session refuses to ask anything until now
			c.fast.open.Store(version != codec.VersionUnknown && version <= codec.Version20251125)
		case codec.MethodDiscover:
			// else the transport does not speak it
			if p := ss.InitializeParams(); p != nil && p.ProtocolVersion > codec.Version20251125 {
				c.setStateless(p.ClientInfo)
			}
		}
		return res, err
	}
}

// metaOf is the `_meta` of a request.
func metaOf(req sdk.Request) sdk.Meta {
	p := req.GetParams()
	if p == nil || reflect.ValueOf(p).IsNil() {
		return nil
	}
	return p.GetMeta()
}

// orError keeps a nil pointer out of the interface.
func orError[R sdk.Result](res R, err error) (sdk.Result, error) {
	if err != nil {
		return nil, err
	}
	return res, nil
}

// afterInitialize notes what the handshake said. The client gets log messages from level info on,
// until it says otherwise.
func (e *endpoint) afterInitialize(ctx context.Context, next sdk.MethodHandler, ss *sdk.ServerSession,
	p *sdk.InitializeParams) {
	c := sessionFrom(ctx)
	if c == nil {
		return
	}
	c.setInitialized(ss, p)
	if err := setFirstLevel(ctx, next, ss); err != nil {
		e.o.Logger.DebugContext(ctx, "set the first log level of a session", "session", c.id, "error", err)
	}
}

// pollRetry is how long a client is asked to stay away whose stream was closed before the answer.
const pollRetry = 100 * time.Millisecond

// poll closes the stream of a request from time to time, as long as it is not answered: a client of
// protocol 2025-11-25 comes back for the rest. It is for clients behind a proxy that cuts long
// requests. done ends it.
func (e *endpoint) poll(extra *sdk.RequestExtra) (done func()) {
	every := e.o.Limits.Poll
	if every <= 0 || e.o.Limits.Resume <= 0 || extra == nil || extra.CloseSSEStream == nil ||
		extra.Header.Get(codec.VersionHeader) != codec.Version20251125 {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				extra.CloseSSEStream(sdk.CloseSSEStreamArgs{RetryAfter: pollRetry})
			case <-stop:
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// subscribe is asked by the SDK, which keeps who subscribed to what.
func (e *endpoint) subscribe(ctx context.Context, r *sdk.SubscribeRequest) error {
	c, uri := sessionFrom(ctx), r.Params.URI
	if c == nil {
		return codec.ToRPCError(agent.Refusedf(agent.CodeInternal, "%w", errNoSession), uri)
	}
	// Reading asks the agent whether there is such a resource. Nobody can be asked here.
	to, ok := e.catalog.Load().Listed(uri)
	if !ok {
		to, ok = e.unlisted(c, uri)
	}
	if !ok {
		return rpcError(&unknownError{kind: "resource", name: uri}, uri, c.identity.Trusted)
	}
	err := c.subs.add(uri)
	if err == nil && e.watch != nil {
		if err = e.watch(ctx, to.Agent, to.Name); err != nil {
			c.subs.remove(uri)
		}
	}
	if err != nil {
		return codec.ToPeerError(err, uri, c.identity.Trusted)
	}
	if uri != e.catalog.Load().ExportedURI(to.Agent, to.Name) {
		e.spelled.Add(uri, to)
	}
	return nil
}

func (e *endpoint) unsubscribe(ctx context.Context, r *sdk.UnsubscribeRequest) error {
	if c := sessionFrom(ctx); c != nil {
		c.subs.remove(r.Params.URI)
	}
	return nil
}

// updated tells the subscribers of a resource, if it is the agent's and offered here. uri is what
// the agent calls it.
func (e *endpoint) updated(ctx context.Context, agentName, uri string) {
	cat := e.catalog.Load()
	exported, this := cat.ExportedURI(agentName, uri), catalog.Target{Agent: agentName, Name: uri}
	to, ok := cat.Listed(exported)
	if !ok {
		to, ok = cat.Templated(exported)
	}
	known := e.spelled.Of(this)
	if ok && to == this {
		known = append(known, exported)
	}
	for _, u := range known {
		if err := e.server.ResourceUpdated(ctx, &sdk.ResourceUpdatedNotificationParams{URI: u}); err != nil {
			e.o.Logger.DebugContext(ctx, "tell of a resource that has changed", "uri", u, "error", err)
		}
	}
}

// list answers a request for a page of a list. The SDK has none of them.
func (e *endpoint) list(member, cursor string, meta sdk.Meta) (sdk.Result, error) {
	version, _ := meta[sdk.MetaKeyProtocolVersion].(string)
	items, next, ok := e.catalog.Load().Lists[member].Page(cursor, version > codec.Version20251125)
	if !ok {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the cursor is none of this list"}
	}
	page := &listing.Page{Member: member, Items: items}
	page.NextCursor = next
	return page, nil
}
