package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/server/internal/held"
)

const (
	noticeQueue   = 64               // of one call that wait for a client that is slow to take them; the rest is lost
	noticeTimeout = 10 * time.Second // for the client to take one
)

// backChannel leads from a running call back to the MCP client that made it.
type backChannel struct {
	ctx context.Context // of the call: it ends with the client, and leads the SDK to the request's own stream
	ss  *sdk.ServerSession
	c   *session
	id  string
	// token is the client's progress token; nil: it wants no progress.
	token any
	round *round // with its own way to the client, or nil

	mu      sync.Mutex
	queue   []agent.Notice
	sending bool
	closed  bool
	idle    chan struct{} // closed when nothing is being sent any more; made by close
}

func newBackChannel(ctx context.Context, ss *sdk.ServerSession, c *session, r request) *backChannel {
	return &backChannel{ctx: ctx, ss: ss, c: c, id: r.meta.ID, token: r.meta.Progress, round: r.round}
}

// Notify implements agent.BackChannel. It queues the notice; one goroutine at a time, which close
// waits for, sends what is queued in order.
func (b *backChannel) Notify(_ context.Context, n agent.Notice) {
	content := len(n.Content) > 0 && b.c.identity.Trusted
	if n.Log == nil && (n.Progress == nil || b.token == nil) && !content {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.queue) >= noticeQueue {
		return
	}
	b.queue = append(b.queue, n)
	if !b.sending {
		b.sending = true
		go b.send()
	}
}

func (b *backChannel) send() {
	for {
		b.mu.Lock()
		if len(b.queue) == 0 {
			b.sending = false
			if b.idle != nil {
				close(b.idle)
			}
			b.mu.Unlock()
			return
		}
		n := b.queue[0]
		b.queue = b.queue[1:]
		b.mu.Unlock()
		if err := b.sendOne(n); err != nil {
			b.c.ep.o.Logger.Debug("a notice did not reach its client", "session", b.c.id, "call", b.id, "error", err)
		}
	}
}

func (b *backChannel) sendOne(n agent.Notice) error {
	ctx, cancel := context.WithTimeout(b.ctx, noticeTimeout)
	defer cancel()
	if p := n.Progress; p != nil && b.token != nil {
		params := &sdk.ProgressNotificationParams{ProgressToken: b.token, Progress: p.Progress, Total: p.Total,
			Message: p.Message}
		if b.direct() {
			return b.round.sendNotice(ctx, "notifications/progress", params)
		}
		return b.ss.NotifyProgress(ctx, params)
	}
	l := n.Log
	if l == nil && len(n.Content) > 0 {
		blocks, err := json.Marshal(n.Content)
		if err != nil {
			return err
		}
		l = &agent.LogNotice{Level: slog.LevelError, Logger: codec.ContentLogger, Data: blocks}
	}
	if l != nil {
		params := &sdk.LoggingMessageParams{Meta: b.meta(), Level: mcpLevel(l.Level), Logger: l.Logger, Data: l.Data}
		if b.direct() {
			return b.round.sendNotice(ctx, "notifications/message", params)
		}
		return b.ss.Log(ctx, params)
	}
	return nil
}

// direct reports whether notices pass beside the SDK, which knows nothing of the call.
func (b *backChannel) direct() bool { return b.round != nil && b.round.send != nil }

// close refuses whatever comes after the call, and returns when every notice of it was sent: a
// client drops those that follow the answer.
func (b *backChannel) close() {
	b.mu.Lock()
	b.closed = true
	if !b.sending {
		b.mu.Unlock()
		return
	}
	b.idle = make(chan struct{})
	b.mu.Unlock()
	<-b.idle
}

// Request implements agent.BackChannel.
func (b *backChannel) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return nil, agent.Errorf(agent.CodeUnavailable, "%s: the call is over, its caller can no longer be asked",
			r.Kind)
	}
	// The asker's context may come from elsewhere (over a broker), and the SDK needs that of the
	// request: either can end the question.
	ask, cancel := context.WithCancel(b.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	out, err := b.ask(ask, r)
	if err == nil {
		return out, nil
	}
	if e, ok := codec.FromRPCError(err, b.c.identity.Trusted); ok {
		if e.Code == agent.CodeUnimplemented {
			e.Code = agent.CodeUnavailable
		}
		e.NotExecuted = false // the question was not; the call that asked is running
		return nil, e
	}
	if ended := cmp.Or(ctx.Err(), ask.Err()); ended != nil {
		return nil, agent.AsError(fmt.Errorf("%s: %w", r.Kind, ended))
	}
	return nil, agent.Errorf(agent.CodeUnavailable, "%s: ask the client: %w", r.Kind, err)
}

func (b *backChannel) ask(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	var caps sdk.ClientCapabilities
	if p := b.ss.InitializeParams(); p != nil && p.Capabilities != nil {
		caps = *p.Capabilities
	}
	if lack := held.Lacks(&caps, r); lack != "" {
		return nil, codec.ToRPCError(held.CannotAnswer(r.Kind, lack), "")
	}
	if len(r.Params) == 0 {
		r.Params = json.RawMessage("{}")
	}
	switch r.Kind {
	case agent.AskSample:
		version, _ := b.c.protocol()
		params, err := codec.SampleParams(r.Params, version)
		if err != nil {
			return nil, codec.ToRPCError(err, "")
		}
		return askClient(ctx, params, b.meta(), b.ss.CreateMessageWithTools)
	case agent.AskElicit:
		var params sdk.ElicitParams
		if err := json.Unmarshal(r.Params, &params); err != nil {
			return nil, codec.ToRPCError(agent.Errorf(agent.CodeInvalidArgument, "decode a question: %w", err), "")
		}
		return askClient(ctx, &params, b.meta(), b.ss.Elicit)
	}
	return askClient(ctx, &sdk.ListRootsParams{}, b.meta(), b.ss.ListRoots)
}

func askClient[P interface{ SetMeta(map[string]any) }, R any](ctx context.Context, params P, meta sdk.Meta,
	ask func(context.Context, P) (R, error)) (json.RawMessage, error) {
	params.SetMeta(meta)
	res, err := ask(ctx, params)
	if err != nil {
		return nil, err
	}
	return json.Marshal(res)
}

// meta tells our own peers which call a message is about: one session carries many.
func (b *backChannel) meta() sdk.Meta { return sdk.Meta{codec.MetaID: b.id} }

// mcpLevel is the protocol's name of a level.
func mcpLevel(l slog.Level) sdk.LoggingLevel {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelInfo+2:
		return "info"
	case l < slog.LevelWarn:
		return "notice"
	case l < slog.LevelError:
		return "warning"
	case l < slog.LevelError+4:
		return "error"
	}
	return "critical"
}

// sendNotice sends a notice about a call of the fast path, if the client wants it.
func (r *round) sendNotice(ctx context.Context, method string, params any) error {
	if l, ok := params.(*sdk.LoggingMessageParams); ok &&
		(r.level == "" || codec.FromLevel(string(l.Level)) < codec.FromLevel(r.level)) {
		return nil
	}
	msg, err := codec.EncodeMessage(nil, method, params)
	if err != nil {
		return err
	}
	return r.send(ctx, msg)
}
