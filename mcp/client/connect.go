package client

import (
	"context"
	"encoding/json"
	"sync/atomic"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// Connect makes a session to the server: it starts the program if there is one, connects,
// initializes (protocol 2025-11-25, or an earlier one that the server prefers; see
// [Target.Protocol] for a later one) and reads the lists of what the server offers. ctx bounds that
// only, together with the handshake timeout; the session lives until Close or until the server or
// the connection is gone, see [Session.Done].
//
// An error is or wraps an [agent.Error], never executed, and a [*ConnectError] that tells why.
// Nothing is left running then.
func Connect(ctx context.Context, t Target, o Options) (*Session, error) {
	t, o = t.clone(), o.WithDefaults()
	if err := t.Check(); err != nil {
		return nil, err
	}
	if t.Name != "" {
		o.Logger = o.Logger.With("peer", t.Name)
	}
	hctx, cancel := handshakeContext(ctx, &t, o.HandshakeTimeout)
	defer cancel()
	if t.Protocol <= codec.Version20251125 || t.Transport == mcp.SSE {
		return attempt(hctx, t, o, codec.Version20251125)
	}
	probe, end := handshakeContext(hctx, &t, o.HandshakeTimeout/2)
	defer end()
	s, err := attempt(probe, t, o, t.Protocol)
	if err == nil || hctx.Err() != nil || !mayBeOlder(err) {
		return s, err
	}
	o.Logger.Warn("the server does not take the protocol of this peer: it is asked again in the earlier one",
		"protocol", t.Protocol, "error", err)
	return attempt(hctx, t, o, codec.Version20251125)
}

// attempt is Connect with one protocol.
func attempt(ctx context.Context, t Target, o Options, version string) (*Session, error) {
	ctx, note := withNote(ctx)
	st := &steps{tell: o.OnStep}
	l, err := dial(ctx, t, o, st)
	if err == nil {
		var s *Session
		if s, err = open(ctx, t, o, l, version, st, note); err == nil {
			return s, nil
		}
	}
	return nil, explain(ctx, &t, o, l, note, st.last(), err)
}

// open initializes a session on the link and starts its goroutines.
func open(ctx context.Context, t Target, o Options, l *link, version string, st *steps, said *note) (*Session,
	error) {
	s := newSession(t, o, l)
	if l.conn != nil {
		l.conn.SetHook(s.hook)
	}
	defer s.calls.remove(s.calls.add(ctx, func(error) {}, said, nil)) // there is one request at a time
	if l.http != nil {
		l.http.hook, l.http.hello, l.http.waits = s.hook, s.mendHello, s.calls.waits
	}
	client := sdk.NewClient(&sdk.Implementation{Name: clientName, Version: o.Version}, s.clientOptions())
	client.AddReceivingMiddleware(s.receive)
	var over atomic.Bool
	defer over.Store(true)
	client.AddSendingMiddleware(s.recordDiscover, st.asked(&over), sendInputs, s.discovers)

	done := abortable(ctx, l.abort)
	// Unless the owner says so, servers are asked nothing that older ones do not know: some crash
	// at it.
	transport := l.transport
	if s.keepCancels = new(atomic.Bool); l.http != nil {
		s.keepCancels = &l.http.keepCancels
	}
	if l.conn != nil {
		transport = &notices{transport, s.keepCancels, o.Logger}
	}
	cs, err := client.Connect(ctx, transport, &sdk.ClientSessionOptions{ProtocolVersion: version})
	if err == nil {
		s.sdk = cs
		s.greeted.Store(true)
		if !s.stateless() {
			s.statelessMeta = nil // the server did not want to hear it
		}
		s.keepCancels.Store(crashesOnCancel(cs.InitializeResult()))
		switch fast := !o.NoFastPath && (s.statelessMeta != nil || !s.stateless()); {
		case fast && l.conn != nil:
			sender := &connSender{conn: l.conn}
			if l.http != nil {
				sender.after = &s.after
			}
			s.fast = sender
		case fast:
			sender := newPostSender(l, t.Headers, s.ProtocolVersion(), cs.ID())
			sender.after, sender.other = &s.after, s.receiveOther
			s.fast = sender
		}
		err = s.finishHandshake(ctx, done)
	}
	if err != nil {
		s.end(err)
		s.gate.Shut()
		if cs != nil {
			s.endSession()
		}
		s.work.Wait()
		return nil, err
	}
	s.start()
	return s, nil
}

// clientName is what servers see of us.
const clientName = "openmas"

// start begins the session's own goroutines. Close waits for them.
func (s *Session) start() {
	s.work.Go(s.relist)
	s.work.Go(s.keepAlive)
	s.work.Go(s.watchProgram)
	go s.supervise() // owned by gone
}

// clientOptions say what a server may ask of us: everything that a caller may answer. Whether the
// caller of the moment does turns out when it is asked.
func (s *Session) clientOptions() *sdk.ClientOptions {
	ways := &sdk.ElicitationCapabilities{Form: &sdk.FormElicitationCapabilities{}}
	if s.opts.Visits || s.target.Trusted {
		ways.URL = &sdk.URLElicitationCapabilities{}
	}
	return &sdk.ClientOptions{
		Logger: s.log,
		// see converse: the SDK does not know who made the call
		MultiRoundTrip: &sdk.MultiRoundTripOptions{Disabled: true},
		Capabilities: &sdk.ClientCapabilities{
			RootsV2:     &sdk.RootCapabilities{},
			Sampling:    &sdk.SamplingCapabilities{Tools: &sdk.SamplingToolsCapabilities{}},
			Elicitation: ways,
		},
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			if token, ok := r.Params.ProgressToken.(string); ok {
				s.onProgress(token, agent.Notice{Progress: &agent.ProgressNotice{Progress: r.Params.Progress,
					Total: r.Params.Total, Message: r.Params.Message}})
			}
		},
		LoggingMessageHandler: func(_ context.Context, r *sdk.LoggingMessageRequest) {
			data, err := json.Marshal(r.Params.Data)
			if err != nil {
				return // cannot happen to what was decoded from JSON
			}
			s.onLog(callIDOf(r.Params.Meta), agent.Notice{Log: &agent.LogNotice{
				Level: codec.FromLevel(string(r.Params.Level)), Logger: r.Params.Logger, Data: data}})
		},
		ElicitationCompleteHandler: func(_ context.Context, r *sdk.ElicitationCompleteNotificationRequest) {
			s.onElicitComplete(callIDOf(r.Params.Meta), agent.Notice{ElicitComplete: r.Params.ElicitationID})
		},
		ResourceUpdatedHandler: func(_ context.Context, r *sdk.ResourceUpdatedNotificationRequest) {
			if s.opts.OnUpdated != nil {
				s.noteUpdate(r.Params.URI)
			}
		},
		ToolListChangedHandler:   func(context.Context, *sdk.ToolListChangedRequest) { s.listChanged(listTools) },
		PromptListChangedHandler: func(context.Context, *sdk.PromptListChangedRequest) { s.listChanged(listPrompts) },
		ResourceListChangedHandler: func(context.Context, *sdk.ResourceListChangedRequest) {
			s.listChanged(listResources, listTemplates)
		},
	}
}

// dial makes the link. On an error the link holds what was started nevertheless.
func dial(ctx context.Context, t Target, o Options, st *steps) (*link, error) {
	if t.Transport == mcp.Stdio {
		return dialStdio(ctx, t, o)
	}
	return dialHTTP(ctx, t, o, st)
}
