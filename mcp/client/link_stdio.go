package client

import (
	"context"
	"fmt"
	"time"

	"github.com/openmas/openmas/mcp/internal/child"
	"github.com/openmas/openmas/mcp/internal/wire"
)

func launch(ctx context.Context, t Target, o Options, spec child.Spec) (*child.Process, error) {
	spec.Command, spec.Dir, spec.Env, spec.Log = t.Command, t.Dir, t.Env, t.Stderr
	spec.Grace = child.Grace{Stdin: o.StdinGrace, Term: o.TermGrace}
	p, err := child.Start(ctx, spec)
	if err != nil && ctx.Err() == nil {
		err = &startError{err}
	}
	return p, err
}

// dialStdio starts the program and says hello to it.
func dialStdio(ctx context.Context, t Target, o Options) (*link, error) {
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
