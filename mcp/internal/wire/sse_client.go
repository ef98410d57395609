package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// SSEClientOptions configures an [SSEClient]. Zero values select the defaults.
type SSEClientOptions struct {
	URL    string       // of the stream, see [SSEURL]; required
	Client *http.Client // its redirects are bound to the origin of URL; default: one of its own, see [NewHTTPClient]
	Header http.Header  // sent with every request, where the client does not set the field itself
	// ConnectTimeout is for the answer to the GET and the first event, the endpoint; 10 s.
	ConnectTimeout time.Duration
	// PostTimeout is for the answer to a POST, which is only a receipt; 30 s.
	PostTimeout time.Duration
	MaxFrame    int          // bytes of an incoming message; above it the connection ends; DefaultMaxFrame
	MaxBody     int          // bytes of an outgoing message; above it it is refused unsent; DefaultMaxBody
	MaxGarbage  int          // unreadable events in a row that end the connection; 1000
	Logger      *slog.Logger // slog.Default()
}

// SSEClient is a connection to an MCP server over HTTP+SSE. Make it with [NewSSEClient], give it to
// the SDK as a transport. It lives until its stream ends or it is closed, whatever becomes of the
// context it was connected with.
//
// A POST that fails fails its own call: a [NotSentError] if the server surely did not take the
// message (no byte was sent, or it answered 4xx or 503: then the cause is an [HTTPError]). Only a
// session that the server no longer knows ends the connection.
type SSEClient struct {
	core
	o          SSEClientOptions
	url        *url.URL
	http       http.Client
	own        bool // http is ours to close
	endpoint   *url.URL
	postHeader http.Header // not changed

	ctx      context.Context // of the stream and of every POST
	stop     context.CancelCauseFunc
	running  sync.WaitGroup
	receipts receipts
}

// receiptTime is how long the receipts of POSTs under way may take when the server has ended the
// stream.
const receiptTime = time.Second

// receipts counts the POSTs under way. A server that ends a session turns away what comes too late,
// and that answer is proof that the message was not acted on: so an ending connection waits for it.
type receipts struct {
	mu    sync.Mutex
	n     int
	err   error         // why no POST may begin any more
	quiet chan struct{} // closed when the last one is over; made with err
}

func (r *receipts) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.n++
	}
	return r.err
}

func (r *receipts) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.quiet != nil {
		close(r.quiet)
	}
}

// stop lets no POST begin, and returns a channel that is closed when none is under way.
func (r *receipts) stop(err error) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.quiet = err, make(chan struct{})
	if r.n == 0 {
		close(r.quiet)
	}
	return r.quiet
}

// SSEURL completes the URL of an SSE server: one without a path gets /sse.
func SSEURL(raw string) (string, error) {
	u, err := httpURL(raw)
	if err != nil {
		return "", err
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/sse"
	}
	return u.String(), nil
}

// NewSSEClient checks the options and returns a connection that is made with Connect.
func NewSSEClient(o SSEClientOptions) (*SSEClient, error) {
	u, err := httpURL(o.URL)
	if err != nil {
		return nil, err
	}
	o.ConnectTimeout = orDefault(o.ConnectTimeout, 10*time.Second)
	o.PostTimeout = orDefault(o.PostTimeout, 30*time.Second)
	o.MaxFrame = orDefault(o.MaxFrame, DefaultMaxFrame)
	o.MaxBody = orDefault(o.MaxBody, DefaultMaxBody)
	o.MaxGarbage = orDefault(o.MaxGarbage, defaultMaxGarbage)
	o.Header = o.Header.Clone()
	c := &SSEClient{o: o, url: u}
	if o.Client == nil {
		if o.Client, err = NewHTTPClient(HTTPOptions{Origin: o.URL}); err != nil {
			return nil, err
		}
		c.own = true
	}
	c.http = *o.Client
	c.http.CheckRedirect = sameOriginRedirect
	c.http.Timeout = 0 // it would end the stream
	c.postHeader = http.Header{"Content-Type": {"application/json"}}
	addHeader(c.postHeader, o.Header)
	c.init(o.Logger)
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	return c, nil
}

// Connect implements [sdk.Transport]: it opens the stream and waits for the endpoint, within
// ConnectTimeout and ctx.
func (c *SSEClient) Connect(ctx context.Context) (sdk.Connection, error) {
	if err := cmpErr(ctx.Err(), c.connect()); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", bare(c.url), err)
	}
	wait, cancel := context.WithTimeoutCause(ctx, c.o.ConnectTimeout,
		fmt.Errorf("no endpoint within %v", c.o.ConnectTimeout))
	defer cancel()
	release := context.AfterFunc(wait, func() { c.stop(context.Cause(wait)) })
	err := c.dial()
	if !release() { // too late: the stream is being stopped
		if cause := context.Cause(wait); !errors.Is(err, cause) {
			err = errors.Join(cause, err)
		}
	}
	if err != nil {
		err = fmt.Errorf("connect to %s: %w", bare(c.url), err)
		c.abort(err)
		_ = c.Close() // err is what is to be said
		return nil, err
	}
	return c, nil
}

// dial opens the stream and reads the endpoint from it.
func (c *SSEClient) dial() error {
	r, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.url.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Cache-Control", "no-store")
	addHeader(r.Header, c.o.Header)
	resp, err := c.http.Do(r)
	if err != nil {
		return doError(r, err)
	}
	if resp.StatusCode != http.StatusOK {
		return readHTTPError(op(r), resp)
	}
	fail := func(err error) error {
		return errors.Join(err, resp.Body.Close())
	}
	if mt, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); mt != "text/event-stream" {
		return fail(fmt.Errorf("the answer is %q, not an event stream: is this the URL of an SSE endpoint?",
			resp.Header.Get("Content-Type")))
	}
	events := NewEventReader(resp.Body, c.o.MaxFrame)
	name, data, err := events.Next()
	if err != nil {
		if cause := context.Cause(c.ctx); cause != nil {
			err = cause
		}
		return fail(fmt.Errorf("waiting for the endpoint event: %w", err))
	}
	if name != "endpoint" {
		return fail(fmt.Errorf("the first event is %q, not the endpoint", name))
	}
	if c.endpoint, err = resp.Request.URL.Parse(string(data)); err != nil {
		return fail(errors.New("the server announced an endpoint that is no URL"))
	}
	if !sameOrigin(c.endpoint, c.url) {
		return fail(fmt.Errorf("the server announced an endpoint of another origin, %s://%s: refused",
			c.endpoint.Scheme, c.endpoint.Host))
	}
	c.running.Go(func() {
		defer resp.Body.Close() // what it could say, the read error said
		err := c.readAll(events)
		if errors.Is(err, ErrPeerClosed) {
			select {
			case <-c.receipts.stop(err):
			case <-time.After(receiptTime):
			case <-c.ctx.Done():
			}
		}
		c.end(err)
	})
	return nil
}

func readHTTPError(op string, resp *http.Response) *HTTPError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // a description; the status is what counts
	resp.Body.Close()
	return httpError(op, resp, bytes.TrimSpace(body))
}

// readAll reads messages until the stream ends, and returns why it did.
func (c *SSEClient) readAll(events *EventReader) error {
	var env Envelope
	garbage := 0
	for {
		name, data, err := events.Next()
		switch {
		case c.ctx.Err() != nil:
			return context.Cause(c.ctx)
		case errors.Is(err, io.EOF):
			return ErrPeerClosed
		case err != nil:
			return fmt.Errorf("the event stream from %s broke: %w", bare(c.url), err)
		case name != "" && name != "message":
			continue
		}
		msg, err := c.receive(bytes.TrimSpace(data), &env)
		if err != nil {
			if garbage++; garbage > c.o.MaxGarbage {
				return fmt.Errorf("%w: %d events in a row, the last was %q", ErrGarbage, garbage, clip(data, 100))
			}
			c.log.Warn("skipped an event that is not an MCP message", "url", bare(c.url), "data", clip(data, 200),
				"reason", err)
			continue
		}
		garbage = 0
		if msg != nil {
			_ = c.push(c.ctx, msg) // fails only when the connection has ended
		}
	}
}

// SessionID implements [sdk.Connection]; what the endpoint holds is the server's affair.
func (c *SSEClient) SessionID() string { return "" }

// Write implements [sdk.Connection]: it POSTs the message and waits for the receipt.
func (c *SSEClient) Write(ctx context.Context, msg jsonrpc.Message) error {
	data, err := encode(msg)
	if err != nil {
		return err
	}
	resp, ok := msg.(*jsonrpc.Response)
	if !ok {
		return c.post(ctx, callTrace(ctx, msg), data)
	}
	defer c.answered(resp.ID)
	if size := len(data); size > c.o.MaxBody {
		err = &NotSentError{Cause: &TooLargeError{Size: size, Limit: c.o.MaxBody}}
		data = tooLargeReply(resp, size, c.o.MaxBody)
	}
	return errors.Join(err, c.post(ctx, nil, data))
}

// WriteRaw implements [Conn].
func (c *SSEClient) WriteRaw(ctx context.Context, msg []byte) error {
	if err := checkRaw(msg, c.o.MaxBody); err != nil {
		return err
	}
	return c.post(ctx, traceOf(ctx), bytes.Clone(msg)) // the HTTP transport may read it after the call
}

func (c *SSEClient) post(ctx context.Context, t *Trace, data []byte) error {
	if len(data) > c.o.MaxBody {
		return &NotSentError{Cause: &TooLargeError{Size: len(data), Limit: c.o.MaxBody}}
	}
	if err := cmpErr(ctx.Err(), c.Err()); err != nil {
		return &NotSentError{Cause: err}
	}
	if err := c.receipts.begin(); err != nil {
		return &NotSentError{Cause: err}
	}
	defer c.receipts.end()
	if t == nil {
		t = new(Trace)
	}
	t.late.Store(true)
	ctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, traceKey{}, t), c.o.PostTimeout,
		fmt.Errorf("no receipt within %v", c.o.PostTimeout))
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	r := c.request(data).WithContext(ctx)
	resp, err := c.do(r)
	if err != nil {
		err = doError(r, err)
		if closed := c.Err(); closed != nil {
			err = fmt.Errorf("%w: %w", closed, err)
		}
		if !t.Sent() {
			return &NotSentError{Cause: err}
		}
		return &sentError{err}
	}
	if resp.StatusCode < 300 {
		t.answered(nil)
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
		return resp.Body.Close()
	}
	he := readHTTPError(op(r), resp)
	t.answered(he)
	if he.Status == http.StatusNotFound || he.Status == http.StatusGone {
		// Not wrapped: other calls end with this error, and they were not refused.
		c.abort(fmt.Errorf("the server does not know the session any more: %v", he)) //nolint:errorlint // see above
	}
	if he.Refused() {
		return &NotSentError{Cause: he}
	}
	return &sentError{he}
}

// request is http.NewRequest without parsing the endpoint each time.
func (c *SSEClient) request(data []byte) *http.Request {
	return &http.Request{Method: http.MethodPost, URL: c.endpoint, Host: c.endpoint.Host, Proto: "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1, Header: c.postHeader,
		ContentLength: int64(len(data)), Body: io.NopCloser(bytes.NewReader(data)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// do is http.Client.Do, which prepares for redirects at some cost, for requests that are hardly
// ever redirected.
func (c *SSEClient) do(r *http.Request) (*http.Response, error) {
	if c.http.Transport == nil || c.http.Jar != nil || r.URL.User != nil {
		return c.http.Do(r)
	}
	resp, err := c.http.Transport.RoundTrip(r)
	if err != nil || resp.StatusCode < 300 || resp.StatusCode >= 400 {
		return resp, err
	}
	again := r.Clone(r.Context())
	if again.Body, err = r.GetBody(); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	_ = resp.Body.Close() // what it says is asked for again
	return c.http.Do(again)
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// Close implements [sdk.Connection]. It ends the stream and every POST and waits for the stream's
// goroutine.
func (c *SSEClient) Close() error {
	c.abort(ErrClosed)
	c.stop(ErrClosed)
	c.running.Wait()
	if c.own {
		c.http.CloseIdleConnections()
	}
	return nil
}
