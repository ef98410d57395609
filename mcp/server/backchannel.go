package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
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
	token   any
	round   *round // with its own way to the client, or nil
	notices calls.Notices
}

func newBackChannel(ctx context.Context, ss *sdk.ServerSession, c *session, r *request) *backChannel {
	b := &backChannel{ctx: ctx, ss: ss, c: c, id: r.meta.ID, token: r.meta.Progress, round: r.round}
	b.notices.Limit, b.notices.To = noticeQueue, b
	return b
}

// Notify implements agent.BackChannel. It queues the notice, if the client can have it.
func (b *backChannel) Notify(_ context.Context, n agent.Notice) {
	content := len(n.Content) > 0 && b.c.identity.Trusted
	if n.Log == nil && (n.Progress == nil || b.token == nil) && !content && (n.ElicitComplete == "" || !b.visits()) {
		return
	}
	if err := b.notices.Add(n); err != nil {
		b.lost(err)
	}
}

// visits reports whether the client can be told that what its user was sent to a page for is done:
// since 2026-07-28 there is nothing for that.
func (b *backChannel) visits() bool {
	p := b.ss.InitializeParams()
	return b.round == nil && p != nil && p.Capabilities != nil && p.Capabilities.Elicitation != nil &&
		p.Capabilities.Elicitation.URL != nil
}

func (b *backChannel) lost(err error) {
	b.c.ep.o.Logger.Debug("a notice did not reach its client", "session", b.c.id, "call", b.id, "error", err)
}

// Deliver implements [calls.Receiver].
func (b *backChannel) Deliver(n agent.Notice) {
	if err := b.sendOne(n); err != nil {
		b.lost(err)
	}
}

func (b *backChannel) sendOne(n agent.Notice) error {
	ctx, cancel := context.WithTimeout(b.ctx, noticeTimeout)
	defer cancel()
	if p := n.Progress; p != nil && b.token != nil {
		params := &sdk.ProgressNotificationParams{ProgressToken: b.token, Progress: p.Progress, Total: p.Total,
			Message: p.Message}
		if raw := codec.ParamsFor(n.Raw, b.token, nil); raw != nil {
			ctx = withRawParams(ctx, raw)
		}
		if b.direct() {
			return b.round.sendNotice(ctx, "notifications/progress", params)
		}
		return b.ss.NotifyProgress(ctx, params)
	}
	ours := b.meta()
	if !b.c.identity.Trusted {
		ours = nil
	}
	if n.ElicitComplete != "" {
		if raw := codec.ParamsFor(n.Raw, nil, ours); raw != nil {
			ctx = withRawParams(ctx, raw)
		}
		return b.ss.NotifyElicitationComplete(ctx, &sdk.ElicitationCompleteParams{Meta: ours,
			ElicitationID: n.ElicitComplete})
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
		if raw := codec.ParamsFor(n.Raw, nil, ours); raw != nil {
			ctx = withRawParams(ctx, raw)
		}
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
func (b *backChannel) close() { <-b.notices.Close() }

// Request implements agent.BackChannel.
func (b *backChannel) Request(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	if b.notices.Closed() {
		return nil, agent.Errorf(agent.CodeUnavailable, "%s: the call is over, its caller can no longer be asked",
			r.Kind)
	}
	// The asker's context may come from elsewhere (over a broker), and the SDK needs that of the
	// request: either can end the question.
	ask, cancel := context.WithCancelCause(b.ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(ctx.Err()) })()
	if post, ok := b.ctx.Value(postKey{}).(context.Context); ok {
		defer context.AfterFunc(post, func() { cancel(errGone) })()
	}
	out, err := b.ask(ask, r)
	if ours := (*agent.Error)(nil); err == nil || errors.As(err, &ours) {
		return out, err
	}
	if e, ok := codec.FromRPCError(err, b.c.identity.Trusted); ok {
		if e.Code == agent.CodeUnimplemented {
			e.Code = agent.CodeUnavailable
		}
		e.NotExecuted = false // the question was not; the call that asked is running
		return nil, e
	}
	if errors.Is(context.Cause(ask), errGone) {
		return nil, agent.Errorf(agent.CodeCanceled, "%s: %w", r.Kind, errGone)
	}
	if ended := cmp.Or(ctx.Err(), ask.Err()); ended != nil {
		return nil, agent.AsError(fmt.Errorf("%s: %w", r.Kind, ended))
	}
	return nil, agent.Errorf(agent.CodeUnavailable, "%s: ask the client: %w", r.Kind, err)
}

var errGone = errors.New("the client is gone: it has closed the response to the call that asks")

type postKey struct{}

// withPost makes the questions of a call end with the POST that made it, whose response cannot be
// resumed: the call itself may go on.
func withPost(ctx, post context.Context) context.Context {
	return context.WithValue(ctx, postKey{}, post)
}

func (b *backChannel) ask(ctx context.Context, r agent.Request) (json.RawMessage, error) {
	var caps sdk.ClientCapabilities
	if p := b.ss.InitializeParams(); p != nil && p.Capabilities != nil {
		caps = *p.Capabilities
	}
	if lack := held.Lacks(&caps, r); lack != "" {
		return nil, held.CannotAnswer(r.Kind, lack)
	}
	version, _ := b.c.protocol()
	meta := b.meta()
	if !b.c.identity.Trusted {
		meta = nil
	}
	params, err := codec.QuestionFor(r, version, meta)
	if err != nil {
		return nil, err
	}
	ctx = withRawParams(ctx, params)
	// the SDK's types are what it checks, and nothing that is sent
	switch r.Kind {
	case agent.AskSample:
		return askClient(ctx, &sdk.CreateMessageWithToolsParams{}, b.ss.CreateMessageWithTools)
	case agent.AskElicit:
		return askClient(ctx, &sdk.ElicitParams{Mode: codec.ElicitMode(params)}, b.ss.Elicit)
	}
	return askClient(ctx, &sdk.ListRootsParams{}, b.ss.ListRoots)
}

func askClient[P any, R interface{ GetMeta() map[string]any }](ctx context.Context, params P,
	ask func(context.Context, P) (R, error)) (json.RawMessage, error) {
	res, err := ask(ctx, params)
	if err != nil {
		return nil, err
	}
	answer, err := codec.Carried(res.GetMeta())
	if err != nil {
		return nil, agent.Errorf(agent.CodeInternal, "the client's answer is not as MCP has it: %w", err)
	}
	return answer, nil
}

// meta tells our own peers which call a message is about: one session carries many.
func (b *backChannel) meta() sdk.Meta { return sdk.Meta{codec.MetaID: b.id} }

type rawParamsKey struct{}

// withRawParams makes the message that is sent with the context have these params, whatever the
// SDK is told: it would lose what its types do not know.
func withRawParams(ctx context.Context, raw json.RawMessage) context.Context {
	return context.WithValue(ctx, rawParamsKey{}, &codec.RawParams{JSON: raw})
}

func rawParamsOf(ctx context.Context) *codec.RawParams {
	raw, _ := ctx.Value(rawParamsKey{}).(*codec.RawParams)
	return raw
}

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
	if raw := rawParamsOf(ctx); raw != nil {
		params = raw
	}
	msg, err := codec.EncodeMessage(nil, method, params)
	if err != nil {
		return err
	}
	return r.send(ctx, msg)
}
