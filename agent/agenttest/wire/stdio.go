package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// pipes is stdio as a communicator: each session has a pair of pipes, as a child process has, and
// at their far end the agent, in this process.
type pipes struct {
	log    *slog.Logger
	served calls.Served[*calls.Binding]

	ctx     context.Context // of the far ends
	stop    context.CancelFunc
	serving sync.WaitGroup

	mu       sync.Mutex
	sessions []*client.Session
}

// newPipes makes one without agents. What it serves ends with Close.
func newPipes(ctx context.Context, log *slog.Logger) *pipes {
	c := &pipes{log: log}
	c.ctx, c.stop = context.WithCancel(ctx)
	return c
}

// Serve implements [communicator.Server].
func (c *pipes) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	b, err := calls.Bind(ctx, &c.served, s)
	if err != nil {
		return nil, err // and no binding that is nil
	}
	return b, nil
}

// Dial implements [communicator.Dialer].
func (c *pipes) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	b, ok, _ := c.served.Find(name)
	if !ok {
		return nil, agent.Refusedf(agent.CodeNotFound, "there is no agent %q", name)
	}
	s, err := client.Connect(ctx, client.Target{Name: name, Transport: mcp.Stdio, Trusted: true,
		Streams: func(context.Context) (io.ReadCloser, io.WriteCloser, error) { return c.open(b) }},
		client.Options{Logger: c.log})
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions = append(c.sessions, s)
	return s, nil
}

// open serves an agent on new pipes, until their near ends are closed.
func (c *pipes) open(b *calls.Binding) (io.ReadCloser, io.WriteCloser, error) {
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, stdin.Close(), in.Close())
	}
	c.serving.Go(func() {
		// who calls is in the call, as between the processes of a project
		id := server.Identity{Identity: agent.Identity{Agent: agenttest.Caller, Trusted: true}, Relays: true}
		err := server.ServeStdio(c.ctx, b, stdin, stdout, server.Options{Logger: c.log}, id)
		if err = errors.Join(err, stdin.Close(), stdout.Close()); err != nil {
			c.log.Debug("the pipes of an agent broke", "agent", b.Info().Name, "error", err)
		}
	})
	return out, in, nil
}

// Close implements [communicator.Communicator].
func (c *pipes) Close(ctx context.Context) error {
	errs := []error{c.served.Close(ctx)}
	c.mu.Lock()
	sessions := c.sessions
	c.mu.Unlock()
	c.stop()
	for _, s := range sessions {
		select {
		case <-s.Done(): // after the last answer
		case <-ctx.Done():
		}
		errs = append(errs, s.Close(ctx))
	}
	c.serving.Wait()
	return errors.Join(errs...)
}
