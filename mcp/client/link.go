package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A link is what a session travels on. Its parts are made by dial and taken down by the session.
type link struct {
	transport sdk.Transport
	conn      wire.Conn      // nil with streamable HTTP, whose connection is the SDK's
	child     *child.Process // nil with a URL
	http      *roundTripper  // nil with stdio
	client    *http.Client   // likewise
	endpoint  *url.URL       // likewise
	line      *wire.Line     // stdio: whose reader the child closes
}

// abort ends the connection at once: whatever reads or writes returns.
func (l *link) abort() {
	if l.http != nil {
		l.http.abort()
	}
	if l.conn != nil {
		_ = l.conn.Close() // its error is about streams that nobody reads any more
	}
}

// close takes the link down and waits for it. The child gets its time to end well until ctx ends.
func (l *link) close(ctx context.Context) error {
	var err error
	l.abort()
	if l.child != nil {
		err = l.child.Stop(ctx)
	}
	if l.line != nil {
		<-l.line.Finished()
	}
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
	return err
}

// discard takes down what a failed handshake left. A program that was just started has a second to
// end well.
func (l *link) discard(ctx context.Context) {
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = l.close(ctx) // that the child had to be killed is not what the user needs to know
}

// lost is why the connection has ended; nil: it has not, or we have ended it.
func (l *link) lost() error {
	if l == nil || l.conn == nil {
		return nil
	}
	if err := l.conn.Err(); !errors.Is(err, wire.ErrClosed) {
		return err
	}
	return nil
}

// junk says that the program printed what is no message; empty: it did not.
func (l *link) junk() string {
	if l == nil || l.line == nil || l.line.Junk() == 0 {
		return ""
	}
	return fmt.Sprintf("; lines of its output that are no MCP messages: %d (see the log)", l.line.Junk())
}

// exitGrace is how long a child that has ended may take to be reaped.
const exitGrace = time.Second

// awaitExit gives a child that has ended, as its silence suggests, the moment it takes to be
// reaped. nil: it still runs, or there is none.
func (l *link) awaitExit() *child.ExitError {
	if l == nil || l.child == nil {
		return nil
	}
	return l.child.AwaitExit(exitGrace)
}

// startError is the failure to start a program.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }

func (e *startError) Unwrap() error { return e.err }

// exhausted says what this process, or its machine, has no more of; empty: that is not why it
// failed.
func exhausted(err error, start bool) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return "this process has as many open files as it may (ulimit -n, LimitNOFILE)"
	case errors.Is(err, syscall.ENFILE):
		return "the machine has as many open files as it may"
	case errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ENOBUFS):
		return "there is no memory left"
	case start && errors.Is(err, syscall.EAGAIN):
		return "no more processes may run (ulimit -u, TasksMax, the cgroup's pids.max)"
	}
	return ""
}

// WithAbort makes programs that sessions start with the context, or one made of it, end with abort:
// they are killed at once with all that they have started. It is for a process that is about to end
// without closing its sessions.
func WithAbort(ctx, abort context.Context) context.Context { return child.WithAbort(ctx, abort) }

func launch(ctx context.Context, t Target, o Options, spec child.Spec) (*child.Process, error) {
	spec.Command, spec.Dir, spec.Env, spec.Log = t.Command, t.Dir, t.Env, t.Stderr
	spec.Grace = child.Grace{Stdin: o.StdinGrace, Term: o.TermGrace}
	spec.OnRest = func(r child.Rest) {
		args := []any{"program", filepath.Base(t.Command[0]), "at most", r.Most}
		if len(r.Names) > 0 {
			args = append(args, "processes", strings.Join(r.Names, ", "))
		}
		o.Logger.Warn("the program has ended, and a process that it started still runs or holds its output: that is "+
			"waited for, and killed then", args...)
	}
	p, err := child.Start(ctx, spec)
	if err != nil && ctx.Err() == nil {
		err = &startError{err}
	}
	return p, err
}

// dialStdio starts the program and says hello to it, or opens the streams.
func dialStdio(ctx context.Context, t Target, o Options) (*link, error) {
	if t.Streams != nil {
		from, to, err := t.Streams(ctx)
		if err != nil {
			return nil, err
		}
		line := wire.NewLine(from, to, wire.LineOptions{MaxFrame: o.MaxFrame, Logger: o.Logger})
		return &link{transport: line, conn: line, line: line}, nil
	}
	p, err := launch(ctx, t, o, child.Spec{Stdio: true})
	if err != nil {
		return nil, err
	}
	// The child closes its output: what it says while it is being stopped is still read.
	l := &link{child: p, line: wire.NewLine(p.Stdout(), p.Stdin(),
		wire.LineOptions{MaxFrame: o.MaxFrame, KeepReader: true, Logger: o.Logger})}
	l.conn, l.transport = l.line, l.line
	if t.Hello == nil {
		return l, nil
	}
	if at, ok := ctx.Deadline(); ok {
		if err := p.Stdin().SetWriteDeadline(at); err != nil {
			return l, fmt.Errorf("write the hello line: %w", err)
		}
	}
	if _, err := p.Stdin().Write(append(t.Hello, '\n')); err != nil {
		return l, fmt.Errorf("write the hello line: %w", err)
	}
	if err := p.Stdin().SetWriteDeadline(time.Time{}); err != nil {
		return l, fmt.Errorf("write the hello line: %w", err)
	}
	return l, nil
}
