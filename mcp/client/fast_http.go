package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const (
	// streamEndTimeout is how long a server may take to end a stream whose answer it has sent, or
	// the connection is not used again.
	streamEndTimeout = 10 * time.Millisecond
)

// postSender carries calls over streamable HTTP: a POST for each, with the answer in its response.
// What else the response says goes where the session's other messages go.
type postSender struct {
	http       *roundTripper
	url        *url.URL
	header     http.Header // not changed
	stateless  bool        // the protocol has no sessions
	redirected atomic.Bool // there are redirects
	after      *background
	// other gets the messages of a response that are not its answer, valid during the call.
	other func(ctx context.Context, raw []byte, env *wire.Envelope)
}

func newPostSender(l *link, own map[string]string, version, session string) *postSender {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	h.Set(codec.VersionHeader, version)
	stateless := version > codec.Version20251125
	if stateless {
		h.Set(codec.MethodHeader, codec.MethodCall)
	}
	if session != "" {
		h.Set(codec.SessionHeader, session)
	}
	for k, v := range own { // or they would be added to a copy, for each call
		if h.Get(k) == "" {
			h.Set(k, v)
		}
	}
	if user := l.endpoint.User; user != nil {
		pass, _ := user.Password()
		(&http.Request{Header: h}).SetBasicAuth(user.Username(), pass)
	}
	return &postSender{http: l.http, url: l.endpoint, header: h, stateless: stateless}
}

func (c *postSender) request(ctx context.Context, method string, header http.Header, msg []byte) *http.Request {
	r := &http.Request{Method: method, URL: c.url, Host: c.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header}
	if msg != nil {
		msg = bytes.Clone(msg) // it may be read after the response has come
		r.ContentLength = int64(len(msg))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(msg)), nil }
		r.Body = io.NopCloser(bytes.NewReader(msg))
	}
	return r.WithContext(ctx)
}

func (c *postSender) call(ctx context.Context, id codec.FastID, _ <-chan codec.Response, name string,
	msg []byte) (json.RawMessage, error) {
	if c.redirected.Load() {
		return nil, errNotTaken
	}
	h := c.header
	if c.stateless {
		h = maps.Clone(h)
		h[codec.NameHeader] = []string{name}
	}
	resp, err := c.http.post(c.request(ctx, http.MethodPost, h, msg)) //nolint:bodyclose // once closes it
	if err != nil {
		return nil, err
	}
	r := postAnswer{sender: c, id: id}
	if err := r.read(ctx, resp); err != nil {
		return nil, err
	}
	return r.Result, r.Err
}

func (c *postSender) cancel(_ context.Context, id codec.FastID) {
	if c.stateless {
		return // the connection has been closed, which says it
	}
	c.after.run(func(ctx context.Context) {
		if resp, err := c.http.RoundTrip(c.request(ctx, http.MethodPost, c.header, cancellation(id))); err == nil {
			_ = resp.Body.Close() // the server's opinion of it does not matter
		}
	})
}

// postAnswer reads what a server says in answer to a request.
type postAnswer struct {
	sender *postSender
	id     codec.FastID
	got    bool
	codec.Response
}

// read reads a response to the end of the call.
func (a *postAnswer) read(ctx context.Context, resp *http.Response) error {
	var at wire.LastEvent
	for {
		stream, err := a.readOne(ctx, resp)
		if a.got {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("the response does not hold the answer: %w", io.ErrUnexpectedEOF)
		}
		if stream == nil {
			return err
		}
		at.Seen(stream.EventReader, stream.heard)
		if resp, err = at.Resume(ctx, err, a.rest); err != nil { //nolint:bodyclose // once closes it
			return err
		}
	}
}

// heard is an event stream on which something came.
type eventStream struct {
	*wire.EventReader
	heard bool
}

// readOne reads one response. The stream is nil where there is none to go on with.
func (a *postAnswer) readOne(ctx context.Context, resp *http.Response) (*eventStream, error) {
	defer resp.Body.Close() // whatever it could say, the reading did
	c := a.sender
	switch {
	case resp.StatusCode == http.StatusNotFound && c.header.Get(codec.SessionHeader) != "":
		return nil, sdk.ErrSessionMissing
	case resp.StatusCode >= 400:
		return nil, errors.New(http.StatusText(resp.StatusCode)) // the trace knows the truth
	case resp.StatusCode >= 300:
		c.redirected.Store(true)
		return nil, errNotTaken
	}
	media := resp.Header.Get("Content-Type")
	if media != "application/json" && media != "text/event-stream" {
		media, _, _ = mime.ParseMediaType(media) // what does not parse is something else
	}
	switch media {
	case "application/json":
		body, err := readAll(resp, c.http.maxFrame)
		if err == nil {
			a.message(ctx, body)
		}
		return nil, err
	case "text/event-stream":
		stream := &eventStream{EventReader: wire.NewEventReader(resp.Body, int(c.http.maxFrame))}
		return stream, a.events(ctx, stream, resp.Body)
	}
	return nil, fmt.Errorf("%w of type %q", errNotMCP, media)
}

func readAll(resp *http.Response, limit int64) ([]byte, error) {
	if n := resp.ContentLength; n > 0 && n <= min(limit, 1<<20) {
		b := make([]byte, n)
		_, err := io.ReadFull(resp.Body, b)
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(b)) > limit {
		return nil, &wire.TooLargeError{Limit: int(limit), Inbound: true}
	}
	return b, err
}

func (a *postAnswer) events(ctx context.Context, stream *eventStream, body io.ReadCloser) error {
	for !a.got {
		name, data, err := stream.Next()
		if err != nil {
			return err
		}
		stream.heard = true
		if data = bytes.TrimSpace(data); len(data) > 0 && (name == "" || name == "message") {
			a.message(ctx, data)
		}
	}
	late := time.AfterFunc(streamEndTimeout, func() { _ = body.Close() })
	defer late.Stop()
	_, _ = io.CopyN(io.Discard, body, 4<<10) // so that the connection can be used again
	return nil
}

// message takes one message, or a batch of them.
func (a *postAnswer) message(ctx context.Context, raw []byte) {
	var env wire.Envelope
	switch {
	case env.Scan(raw):
		if id, ours := codec.ParseFastID(env.ID); ours && id == a.id && env.Method == nil {
			a.got, a.Response = true, codec.ReadResponse(&env)
			return
		}
		a.sender.other(ctx, raw, &env)
	case raw[0] == '[':
		wire.Array(raw, func(item []byte) bool { a.message(ctx, item); return true })
	default:
		a.sender.http.log.Warn("skipped an answer that is not an MCP message", "data", string(raw[:min(len(raw), 200)]))
	}
}

// rest asks for what follows an event.
func (a *postAnswer) rest(ctx context.Context, id string) (*http.Response, error) {
	h := a.sender.header.Clone()
	h.Del("Content-Type")
	h.Set("Accept", "text/event-stream")
	h.Set(codec.LastEventHeader, id)
	return a.sender.http.RoundTrip(a.sender.request(ctx, http.MethodGet, h, nil))
}
