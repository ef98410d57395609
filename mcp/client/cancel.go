package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// crashesOnCancel reports whether the server is better not told that a call was given up: one of
// the Python SDK 1.x. Before 1.27 a cancellation ends the whole session there, and over stdio the
// program, with every other call on it; later ones can still lose that race. The SDK is known by
// the empty "experimental" among its capabilities, which its 2.x does not send; nor do its own
// clients ever send a cancellation, so that its tools are used to run to their end.
func crashesOnCancel(hello *sdk.InitializeResult) bool {
	return hello != nil && hello.Capabilities != nil && hello.Capabilities.Experimental != nil &&
		len(hello.Capabilities.Experimental) == 0
}

// notices passes on what the SDK sends on a connection, but for cancellations once keep is set, and
// for failures to notify the server that the handshake is over: they cost a warning. It is for
// transports whose POSTs [roundTripper] leaves alone.
type notices struct {
	sdk.Transport
	keep *atomic.Bool
	log  *slog.Logger
}

func (t *notices) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &noticesConn{c, t}, nil
}

type noticesConn struct {
	sdk.Connection
	t *notices
}

func (c *noticesConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	req, _ := msg.(*jsonrpc.Request)
	if req != nil && req.Method == wire.MethodCancelled && c.t.keep.Load() {
		return nil
	}
	err := c.Connection.Write(ctx, msg)
	var status *wire.HTTPError
	if req != nil && req.Method == codec.MethodInitialized && errors.As(err, &status) && ctx.Err() == nil {
		warnInitialized(c.t.log, status.Status)
		return nil
	}
	return err
}

// warnInitialized says that a server refused to hear that the handshake is over. It is of no use
// without it if it waits for that, which the next request shows.
func warnInitialized(log *slog.Logger, status int) {
	log.Warn("the server refused a notification, which has no answer: it is asked all the same", "method",
		codec.MethodInitialized, "status", status)
}

// maxNotice is the size of a POST that may be a notification without much to say.
const maxNotice = 64 << 10

// posted is the method of the notification that r posts; empty: it is something else, or large. The
// body can still be read afterwards.
func posted(r *http.Request) string {
	if r.Method != http.MethodPost || r.GetBody == nil || r.ContentLength <= 0 || r.ContentLength > maxNotice {
		return ""
	}
	body, err := r.GetBody()
	if err != nil {
		return ""
	}
	msg, err := io.ReadAll(body)
	_ = body.Close() // it is in memory
	var env wire.Envelope
	if err != nil || !env.Scan(msg) || env.ID != nil {
		return ""
	}
	return string(env.Method)
}

// cancels are the requests in flight, which end with the session. A watcher for each would cost
// more than this.
type cancels struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]openCall
	over error // why there can be no more
	cut  *Cut  // what was in flight at the end; nil before it
}

type openCall struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	note   *note
	call   *agent.Call // nil: a request of the session's own
}

// A Cut is what was in flight on a session when it ended.
type Cut struct {
	// All is how many calls these were; Calls has the oldest ones, at most 32.
	All   int
	Calls []CutCall
}

// A CutCall is one of them. Trace is the id of its trace, where it has one.
type CutCall struct {
	ID, Target, Trace string
	Began             time.Time
}

const maxCut = 32

// note remembers what is in flight, the first time that it is called.
func (c *cancels) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteLocked()
}

func (c *cancels) noteLocked() {
	if c.cut != nil {
		return
	}
	oldest := slices.SortedFunc(maps.Values(c.open), func(a, b openCall) int {
		return a.note.began.Compare(b.note.began)
	})
	oldest = slices.DeleteFunc(oldest, func(o openCall) bool { return o.call == nil })
	c.cut = &Cut{All: len(oldest)}
	for _, o := range oldest[:min(len(oldest), maxCut)] {
		one := CutCall{ID: o.call.ID, Target: o.call.Target(), Began: o.note.began}
		if p := o.call.Meta["traceparent"]; len(p) >= traceEnd {
			one.Trace = p[traceBegin:traceEnd]
		}
		c.cut.Calls = append(c.cut.Calls, one)
	}
}

// The id of a trace in a traceparent.
const traceBegin, traceEnd = 3, 35

// add must be followed by remove.
func (c *cancels) add(ctx context.Context, cancel context.CancelCauseFunc, n *note, call *agent.Call) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		cancel(c.over)
	}
	if c.open == nil {
		c.open = map[uint64]openCall{}
	}
	c.last++
	n.began = time.Now()
	c.open[c.last] = openCall{ctx, cancel, n, call}
	return c.last
}

func (c *cancels) remove(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, n)
}

func (c *cancels) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = why
	c.noteLocked()
	for _, call := range c.open {
		call.cancel(why)
	}
}

// only is the id of the only request that waits for an answer; ok is false if there are others, or
// none.
func (c *cancels) only() (id int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.open {
		id = call.note.RequestID.Load()
	}
	return id, len(c.open) == 1 && id != 0
}

// latest is the last of the deadlines; far away if a request has none.
func (c *cancels) latest() (last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.open {
		at, ok := call.ctx.Deadline()
		if !ok {
			return time.Now().Add(math.MaxInt64)
		}
		if at.After(last) {
			last = at
		}
	}
	return last
}

// waits reports whether a request waits for an answer.
func (c *cancels) waits(id int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.open {
		if call.note.RequestID.Load() == id {
			return true
		}
	}
	return false
}
