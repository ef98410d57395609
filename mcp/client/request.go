package client

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// request is a call on its way.
type request struct {
	*agent.Call
	token string // for progress; empty: nobody listens
	note  *note
	// With protocol 2026-07-28: the answers to what an earlier result wanted, and its state.
	responses map[string]json.RawMessage
	state     string
}

// A note is what the round tripper learns about one call, beside its trace.
type note struct {
	*wire.Trace
	began   time.Time                     // set before anything is sent
	refusal atomic.Pointer[string]        // the body of an answer that is no success
	failed  atomic.Pointer[error]         // why the SDK got no answer
	noToken atomic.Pointer[error]         // why there is no token for a server that wants one
	rpc     atomic.Pointer[jsonrpc.Error] // the error that it was answered with
	direct  bool                          // the SDK does not make the call
	try     bool                          // the server need not know such a request
	traces  http.Header                   // the call's trace context, for its requests; nil: they say nothing of it
}

// maxRefusal is how much of the body of an HTTP error is told, in bytes.
const maxRefusal = 200

// told is an HTTP error with what the server said beside, nil for none. A web page says nothing to
// whoever reads a log.
func (n *note) told(status *wire.HTTPError) *wire.HTTPError {
	if status == nil {
		return nil
	}
	out := *status
	if text := n.refusal.Load(); text != nil {
		out.Body = *text
	}
	if out.Body = strings.Join(strings.Fields(out.Body), " "); strings.HasPrefix(out.Body, "<") {
		out.Body = ""
	}
	if len(out.Body) > maxRefusal {
		out.Body = strings.ToValidUTF8(out.Body[:maxRefusal], "") + "…"
	}
	return &out
}

// traced is a request of the call with the trace context in its headers, for what lies between and
// for servers that do not look into `_meta`.
func (n *note) traced(r *http.Request) *http.Request {
	if n == nil || n.traces == nil {
		return r
	}
	out := *r // a RoundTripper must not change the request it is given
	out.Header = make(http.Header, len(r.Header)+len(n.traces))
	maps.Copy(out.Header, r.Header)
	maps.Copy(out.Header, n.traces)
	return &out
}

// withNote returns a context that carries a new note and its trace.
func withNote(ctx context.Context) (context.Context, *note) {
	n := &notedContext{TracedContext: wire.TracedContext{Context: ctx}}
	n.note.Trace = &n.Trace
	return n, &n.note
}

// notedContext is a context, its trace and its note in one piece.
type notedContext struct {
	wire.TracedContext
	note note
}

// Value implements [context.Context].
func (n *notedContext) Value(key any) any {
	if key == (noteKey{}) {
		return &n.note
	}
	return n.TracedContext.Value(key)
}

// withoutToken adds to what an HTTP error led to why there was no token to avoid it.
func (n *note) withoutToken(err error) error {
	if why := n.noToken.Load(); why != nil {
		return fmt.Errorf("%w; %w", err, *why)
	}
	return err
}

type noteKey struct{}

func objectOrEmpty(in json.RawMessage) json.RawMessage {
	if len(in) == 0 || string(in) == "null" {
		return json.RawMessage("{}")
	}
	return in
}
