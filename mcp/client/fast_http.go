package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
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
	msg []byte) (answer codec.Response, err error) {
	if c.redirected.Load() {
		return answer, errNotTaken
	}
	h := c.header
	if c.stateless {
		h = maps.Clone(h)
		h[codec.NameHeader] = []string{name}
	}
	resp, err := c.http.post(c.request(ctx, http.MethodPost, h, msg)) //nolint:bodyclose // read closes it
	if err != nil {
		return answer, err
	}
	p := postReader{id: int64(id), log: c.http.log, maxFrame: c.http.maxFrame, resume: c.resume,
		answer: func(env *wire.Envelope) { answer = codec.ReadResponse(env) },
		other:  func(raw []byte, env *wire.Envelope) { c.other(ctx, raw, env) }}
	if err = p.read(ctx, resp); errors.Is(err, errNotTaken) {
		c.redirected.Store(true)
	}
	return answer, err
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

func (c *postSender) resume(ctx context.Context, lastEvent string) (*http.Response, error) {
	return c.http.RoundTrip(c.request(ctx, http.MethodGet, resumeHeader(c.header, lastEvent), nil))
}
