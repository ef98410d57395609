package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
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

// junk says that the program printed what is no message; empty: it did not.
func (l *link) junk() string {
	if l == nil || l.line == nil || l.line.Junk() == 0 {
		return ""
	}
	return fmt.Sprintf("; lines of its output that are no MCP messages: %d (see the log)", l.line.Junk())
}

// awaitExit gives a child that has ended, as its silence suggests, the moment it takes to be
// reaped.
func (l *link) awaitExit() *child.ExitError {
	if l == nil || l.child == nil {
		return nil
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-l.child.Done():
	case <-timer.C:
		return nil
	}
	return l.child.Exit()
}

// startError is the failure to start a program.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }

func (e *startError) Unwrap() error { return e.err }
