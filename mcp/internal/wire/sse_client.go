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

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/post"
)

// SSEClientOptions configures an [SSEClient]. Zero values select the defaults.
type SSEClientOptions struct {
	URL    string       // of the stream, required
	Client *http.Client // its redirects are bound to the origin of URL; default: one of its own, see [NewHTTPClient]
	Header http.Header  // sent with every request, where the client does not set the field itself
	// ConnectTimeout is for the answer to the GET and the first event, the endpoint; 10 s.
	ConnectTimeout time.Duration
	// PostTimeout is for the answer to a POST, which is only a receipt; 30 s.
	PostTimeout time.Duration
	MaxFrame    int          // bytes of an incoming message; a larger one fails its own call; DefaultMaxFrame
	MaxBody     int          // bytes of an outgoing message; a larger one is not sent; DefaultMaxBody
	Logger      *slog.Logger // slog.Default()
}

// SSEClient is a connection to an MCP server over HTTP+SSE. It lasts until its stream ends or it is
// closed, and does not end with the context of Connect.
//
// A POST that fails fails its own call only. The error is a [NotSentError] if the server surely did
// not accept the message: no byte was sent, or it answered 4xx or 503, and then the cause is an
// [HTTPError]. The connection ends if the server does not know the session any more.
type SSEClient struct {
	core
	o         SSEClientOptions
	url       *url.URL
	http      http.Client
	own       bool          // http was made here, and is closed here
	template  *http.Request // of the POSTs
	noReceipt error         // ends those that are not answered in time

	ctx      context.Context // of the stream and of every POST
	stop     context.CancelCauseFunc
	running  sync.WaitGroup
	receipts receipts
}

var _ Conn = (*SSEClient)(nil)

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
	c.http.Timeout = 0 // a timeout would end the stream
	c.noReceipt = fmt.Errorf("no receipt within %v", o.PostTimeout)
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
		_ = c.Close() // err is the reason
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
		return readHTTPError(r, resp)
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
		return fail(fmt.Errorf("the first event is %q, not the endpoint: %.200q", name, data))
	}
	endpoint, err := resp.Request.URL.Parse(string(data))
	if err != nil {
		return fail(errors.New("the server announced an endpoint that is no URL"))
	}
	if !sameOrigin(endpoint, c.url) {
		return fail(fmt.Errorf("the server announced an endpoint of another origin, %s://%s: refused",
			endpoint.Scheme, endpoint.Host))
	}
	header := http.Header{"Content-Type": {"application/json"}}
	addHeader(header, c.o.Header)
	c.template = post.Template(endpoint, header)
	c.running.Go(func() {
		defer resp.Body.Close() // its error is that of the read
		err := c.readAll(events)
		// A server that ends a session refuses the POSTs that come too late, and a refusal is
		// evidence that a call did not run. So the connection ends when they have been answered.
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

// readAll reads messages until the stream ends, and returns why it did.
func (c *SSEClient) readAll(events *EventReader) error {
	var env Envelope
	junk := junk{log: c.log.With("url", bare(c.url)), kind: "event", done: c.done}
	defer junk.end()
	for {
		name, data, err := events.Next()
		large := tooLarge(err)
		switch {
		case c.ctx.Err() != nil:
			return context.Cause(c.ctx)
		case errors.Is(err, io.EOF):
			return ErrPeerClosed
		case large != nil:
			c.passOver(large)
			continue
		case err != nil:
			return fmt.Errorf("the event stream from %s broke: %w", bare(c.url), err)
		}
		if data = bytes.TrimPrefix(bytes.TrimSpace(data), byteOrderMark); !IsMessage(name, data) {
			continue
		}
		if err = c.accept(c.ctx, data, &env); err == nil {
			junk.message()
		} else if err = junk.add(data, err); err != nil {
			return err
		}
	}
}

// SessionID implements [sdk.Connection]. The id is part of the endpoint, whose form is up to the
// server.
func (c *SSEClient) SessionID() string { return "" }

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
