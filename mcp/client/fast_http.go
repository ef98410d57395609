package client

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"sync/atomic"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/post"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// postSender carries calls over streamable HTTP: a POST for each, with the answer in its response.
// What else the response says goes where the session's other messages go.
type postSender struct {
	http       *roundTripper
	template   *http.Request // of the POSTs
	stateless  bool          // the protocol has no sessions
	redirected atomic.Bool   // there are redirects
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
	return &postSender{http: l.http, template: post.Template(l.endpoint, h), stateless: stateless}
}

func (c *postSender) call(ctx context.Context, id codec.FastID, _ <-chan codec.Response, name string,
	msg []byte) (answer codec.Response, err error) {
	if c.redirected.Load() {
		return answer, errNotTaken
	}
	// A copy: it may be read after the response has come.
	r := post.NewRequest(ctx, c.template, bytes.Clone(msg))
	if c.stateless {
		r.Header = maps.Clone(r.Header)
		r.Header[codec.NameHeader] = []string{name}
	}
	resp, err := c.http.post(r) //nolint:bodyclose // read closes it
	if err != nil {
		return answer, err
	}
	p := postReader{id: int64(id), log: c.http.log, maxFrame: c.http.maxFrame, resume: c.resume, waits: c.http.waits,
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
		if resp, err := c.http.RoundTrip(post.NewRequest(ctx, c.template, cancellation(id))); err == nil {
			_ = resp.Body.Close() // the server's opinion of it does not matter
		}
	})
}

func (c *postSender) resume(ctx context.Context, lastEvent string) (*http.Response, error) {
	return c.http.roundTrip(resumeRequest(ctx, c.template, lastEvent))
}
