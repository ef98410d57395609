package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/budget"
)

// SSEServerOptions configures an [SSEServer]. Zero values select the defaults.
type SSEServerOptions struct {
	// Connect starts the SDK's session for a new client: `return server.Connect(ctx, conn, nil)`,
	// perhaps after it has set a hook. ctx ends when the client leaves. An error becomes a 500
	// answer. Required.
	Connect         func(ctx context.Context, conn *SSEConn) (*sdk.ServerSession, error)
	MaxBody         int           // bytes of a POST; DefaultMaxBody
	MaxFrame        int           // bytes of an outgoing message; DefaultMaxFrame
	MaxQueue        int           // bytes that wait for a client before writers wait too; 256 KiB
	MaxSessions     int           // 1000
	MaxUnanswered   int           // requests of a session without an answer, more are refused; 0: any number
	CommentInterval time.Duration // of silence, then a comment is sent; 15 s
	WriteTimeout    time.Duration // for a client to take 64 KiB or one event, or lose its session; 30 s
	ReadTimeout     time.Duration // for the body of a POST; 30 s
	Lifetime        time.Duration // of a session, then it is closed when no call is in flight; 0: none
	Idle            time.Duration // without a POST and a call in flight, then the session is closed; 0: never
	Logger          *slog.Logger  // slog.Default()
}

// SSEConn is the server's connection to one SSE client. An [SSEServer] makes it; its Connect
// function passes it to the SDK. The goroutine of the client's GET does all the writing.
type SSEConn struct {
	core
	o        *SSEServerOptions
	req      *http.Request
	id       string
	prefix   string
	identity any
	out      *outbox
	lastUse  atomic.Int64 // Unix nanoseconds
}

var _ Conn = (*SSEConn)(nil)

func newSSEConn(o *SSEServerOptions, r *http.Request, id, prefix string, identity any) *SSEConn {
	c := &SSEConn{o: o, req: r, id: id, prefix: prefix, identity: identity,
		out: newOutbox("event: message\ndata: ", "\n\n", o.MaxQueue)}
	c.init(o.Logger)
	c.unanswered = o.MaxUnanswered
	c.lastUse.Store(time.Now().UnixNano())
	return c
}

// Request is the GET that opened the session. Its body must not be read.
func (c *SSEConn) Request() *http.Request { return c.req }

// Identity is that of the request that opened the session.
func (c *SSEConn) Identity() any { return c.identity }

// Connect implements [sdk.Transport].
func (c *SSEConn) Connect(context.Context) (sdk.Connection, error) {
	if err := c.connect(); err != nil {
		return nil, err
	}
	return c, nil
}

// sseVersions are the versions of the protocol that have this transport.
var sseVersions = []string{"2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"}

// refuseVersion is the answer to a call of a version without this transport, nil for any other
// message. Its client begins anew with initialize then, which the SDK would refuse after it has
// served a call like this.
func refuseVersion(msg jsonrpc.Message) []byte {
	req, ok := msg.(*jsonrpc.Request)
	if !ok || !req.IsCall() {
		return nil
	}
	var params struct {
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	if bytes.Contains(req.Params, []byte("protocolVersion")) {
		_ = json.Unmarshal(req.Params, &params) // what does not decode says nothing
	}
	var asked string
	_ = json.Unmarshal(params.Meta[sdk.MetaKeyProtocolVersion], &asked) // as above
	refusal := jsonrpc.Error{Code: sdk.CodeUnsupportedProtocolVersion,
		Message: fmt.Sprintf("HTTP+SSE has no protocol %s", asked)}
	switch data, err := json.Marshal(sdk.UnsupportedProtocolVersionData{Supported: sseVersions, Requested: asked}); {
	case req.Method == "server/discover":
		refusal = jsonrpc.Error{Code: jsonrpc.CodeMethodNotFound,
			Message: "HTTP+SSE has no server/discover: initialize"}
	case asked == "" || slices.Contains(sseVersions, asked):
		return nil
	case err == nil:
		refusal.Data = data
	}
	out, err := jsonrpc.EncodeMessage(&jsonrpc.Response{ID: req.ID, Error: &refusal})
	if err != nil {
		return nil // cannot happen
	}
	return out
}

// SupportsProtocolVersion implements [sdk.ProtocolVersionSupporter]: later versions have no such
// transport.
func (c *SSEConn) SupportsProtocolVersion(v string) bool { return v < "2026-07-28" }

// SessionID implements [sdk.Connection]. It is only the start of the id that the client sends,
// which is a secret.
func (c *SSEConn) SessionID() string { return c.id[:8] }

// Write implements [sdk.Connection]: it queues an event, and waits for room no longer than ctx and
// the session last.
func (c *SSEConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	cancelled := false
	if resp, ok := msg.(*jsonrpc.Response); ok {
		c.lastUse.Store(time.Now().UnixNano())
		cancelled = c.answering(resp.ID)
		defer c.Release()
	}
	data, t, err := c.outbound(ctx, msg, c.o.MaxFrame)
	if data == nil || cancelled {
		return err
	}
	return errors.Join(err, c.out.put(ctx, t, data))
}

// SetBudget has messages that wait to be sent count in a budget. Call it before Connect.
func (c *SSEConn) SetBudget(b *budget.Budget) { c.out.memory = b }

// WriteRaw implements [Conn].
func (c *SSEConn) WriteRaw(ctx context.Context, msg []byte) error {
	if err := checkRaw(msg, c.o.MaxFrame); err != nil {
		return err
	}
	return c.out.put(ctx, traceOf(ctx), msg)
}

// Close implements [sdk.Connection]. The stream sends what is queued, then ends.
func (c *SSEConn) Close() error {
	c.kill(ErrClosed)
	return nil
}

// kill ends the session at once. Read fails, so that the SDK cancels the client's calls, and
// writers wait no longer.
func (c *SSEConn) kill(err error) {
	c.out.close(err)
	c.abort(err)
}

// Unused says since when there was no POST and no answer; ok is false while a call is in flight.
func (c *SSEConn) Unused() (since time.Time, ok bool) {
	return time.Unix(0, c.lastUse.Load()), c.InFlight() == 0
}

// EndUnused ends the session, unless a call is in flight.
func (c *SSEConn) EndUnused(why error) bool { return c.abortIdle(why) }

// deliver queues the message of one POST for the SDK. status is that of a refusal.
func (c *SSEConn) deliver(r *http.Request, body []byte) (status int, err error) {
	if err := c.Err(); err != nil {
		return http.StatusNotFound, fmt.Errorf("the session has ended: %w", err)
	}
	if !utf8.Valid(body) {
		return http.StatusBadRequest, errors.New("the body is not UTF-8")
	}
	c.lastUse.Store(time.Now().UnixNano())
	var env Envelope
	if body, err = AddHeaders(body, r.Header, c.o.MaxBody); err != nil {
		return http.StatusBadRequest, err
	}
	scanned := env.Scan(body)
	if !scanned && len(beyond(body)) > 0 {
		return http.StatusBadRequest, fmt.Errorf("the body is not a JSON-RPC message: %w", errMore)
	}
	msg, err := c.receive(body, &env, scanned)
	if err != nil {
		return http.StatusBadRequest, fmt.Errorf("the body is not a JSON-RPC message: %w", notMessage(body, err))
	}
	if msg == nil {
		return 0, nil
	}
	if refusal := refuseVersion(msg); refusal != nil {
		if err := c.out.put(r.Context(), nil, ShowID(refusal)); err != nil {
			return http.StatusNotFound, fmt.Errorf("the session has ended: %w", err)
		}
		return 0, nil
	}
	extra(msg, r)
	if req, ok := msg.(*jsonrpc.Request); ok && req.IsCall() && c.full() {
		return http.StatusServiceUnavailable, fmt.Errorf("%d requests of this session have no answer yet, or their "+
			"answers were not read", c.unanswered)
	}
	err = c.push(r.Context(), msg)
	if errors.Is(err, errInUse) {
		err = c.out.put(r.Context(), nil, InUse([]byte(env.IDText())))
	}
	if err != nil {
		return http.StatusNotFound, fmt.Errorf("the session has ended: %w", err)
	}
	return 0, nil
}

// stream writes events until the session ends, and returns the reason.
//
// A session whose lifetime is over ends at the next moment without a call in flight, so that no
// call is lost. Idle counts from the last POST or answer: an open stream alone does not keep a
// session.
func (c *SSEConn) stream(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("Connection", "keep-alive")
	h.Set("X-Accel-Buffering", "no")
	s := eventStream{w: w, rc: http.NewResponseController(w), timeout: c.o.WriteTimeout}
	if _, err := s.Write([]byte("event: endpoint\ndata: " + c.prefix + mcp.MessagesEndpoint + "/?session_id=" + c.id +
		"\n\n")); err != nil {
		return err
	}
	comment := time.NewTimer(c.o.CommentInterval)
	defer comment.Stop()
	life, idle := timer(c.o.Lifetime), timer(c.o.Idle)
	defer life.Stop()
	defer idle.Stop()
	var quiet <-chan struct{} // no call is in flight; set once the lifetime is over
	for {
		var err error
		select {
		case <-c.req.Context().Done():
			return ErrPeerClosed
		case <-c.done:
			c.out.close(c.Err())
			if err = c.out.flush(&s); err == nil {
				err = c.Err()
			}
			s.extend() // for the end of the response
			return err
		case <-c.out.wake:
			err = c.out.flush(&s)
			comment.Reset(c.o.CommentInterval)
		case <-comment.C:
			_, err = s.Write([]byte(": ping\n\n"))
			comment.Reset(c.o.CommentInterval)
		case <-life.C:
			quiet = c.Idle()
		case <-quiet:
			if quiet = nil; !c.abortIdle(fmt.Errorf("its lifetime of %v is over", c.o.Lifetime)) {
				quiet = c.Idle() // a call came in between
			}
		case <-idle.C:
			unused := time.Since(time.Unix(0, c.lastUse.Load()))
			if unused < c.o.Idle || !c.abortIdle(fmt.Errorf("idle for %v", c.o.Idle)) {
				idle.Reset(max(c.o.Idle-unused, c.o.Idle/8))
			}
		}
		if err != nil {
			return err
		}
	}
}

// timer fires after d, or never if d is not positive.
func timer(d time.Duration) *time.Timer {
	t := time.NewTimer(time.Hour)
	if t.Stop(); d > 0 {
		t.Reset(d)
	}
	return t
}

// extra lets a tool see the headers and the token of the POST that called it, as it does on
// streamable HTTP, beside what the connection has noted.
func extra(msg jsonrpc.Message, r *http.Request) {
	if req, ok := msg.(*jsonrpc.Request); ok {
		h := r.Header.Clone()
		h.Del(IDHeader)
		if noted, ok := req.Extra.(*sdk.RequestExtra); ok {
			maps.Copy(h, noted.Header)
		}
		req.Extra = &sdk.RequestExtra{Header: h, TokenInfo: auth.TokenInfoFromContext(r.Context())}
	}
}
