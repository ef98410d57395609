package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// ServeStdio serves one agent on a pair of streams, one message a line, under its bare names;
// nothing but MCP is written to out. It returns nil when in has ended and the calls that were
// running are answered; or when ctx has ended, after which new calls are refused (unavailable, not
// executed) and running ones still get their answer. Either way calls are cancelled after
// Limits.Linger. An error is a connection that broke otherwise.
//
// in and out stay the caller's to close. A Read of in that is under way when ctx ends goes on until
// then.
func ServeStdio(ctx context.Context, s communicator.Service, in io.Reader, out io.Writer, o Options,
	id Identity) error {
	o = o.withDefaults()
	ep := soleEndpoint(o, s.Info(), s, new(calls.Gate), nil)
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		ep.held.Close(end, shuttingDown())
	}()
	return serveLine(ctx, ep, in, out, id)
}

// ServeStdio serves all agents on a pair of streams, as [ServeStdio] does one, to an anonymous
// client. It also returns when the gateway was drained.
func (g *Gateway) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-g.drained:
			cancel()
		case <-ctx.Done():
		}
	}()
	return serveLine(ctx, g.all, in, out, Identity{})
}

// serveLine serves an endpoint on a pair of streams.
func serveLine(ctx context.Context, ep *endpoint, in io.Reader, out io.Writer, id Identity) error {
	limits := ep.o.Limits
	line := wire.NewLine(struct{ io.Reader }{in}, struct{ io.Writer }{out},
		wire.LineOptions{Server: true, MaxFrame: limits.MaxFrame, Linger: limits.Linger, KeepReader: true,
			MaxUnanswered: limits.unanswered(), Logger: ep.o.Logger})
	c := newSession(context.WithoutCancel(ctx), ep, mcp.Stdio, id, nil)
	defer c.cancel()
	c.limitMemory()
	line.SetBudget(c.memory)
	defer ep.know(c)()
	var fast calls.Gate
	c.hookFast(line, &fast)
	ss, err := ep.server.Connect(withSession(context.WithoutCancel(ctx), c), line, nil)
	if err != nil {
		return fmt.Errorf("serve MCP on stdio: %w", err)
	}
	c.connected(ss, line)
	select {
	case <-line.Done():
	case <-ctx.Done():
		c.gate.Shut()
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Linger)
		if c.gate.Wait(wait) != nil {
			cancel()
			c.cutCalls()
			wait, cancel = context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			_ = c.gate.Wait(wait) // what ignores its context gets no answer
		}
		c.awaitAnswers(wait) // a call has ended a moment before its answer is written
		cancel()
	}
	ended := line.Err()
	c.cancel()
	_ = line.Close()
	waitSession(ss, &fast)
	if ended == nil || errors.Is(ended, io.EOF) {
		return nil
	}
	return fmt.Errorf("serve MCP on stdio: %w", ended)
}

// waitSession waits until the SDK's handlers and the calls of the fast path have ended; a tool
// that ignores its context is left behind.
func waitSession(ss *sdk.ServerSession, fast *calls.Gate) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() { _ = ss.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	fast.Shut()
	_ = fast.Wait(ctx) // see above
}
