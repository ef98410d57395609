package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/internal/backoff"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// roundTripper goes between the SDK's streamable client and the network, and keeps what the former
// would lose or make worse: one call's refusal must not end the session, a session that is aborted
// must not wait for the server, and a call's notices come before its result. The SSE connection,
// which does these things itself, only shares the aborting.
type roundTripper struct {
	base        http.RoundTripper
	log         *slog.Logger
	streamable  bool
	maxBody     int64
	maxFrame    int64
	ctx         context.Context // of all requests
	abort       context.CancelFunc
	hook        wire.Hook              // gets the messages of a response that are not the answer
	oddMedia    atomic.Pointer[string] // the last media type that no MCP server would answer with
	keepCancels atomic.Bool            // the server is not told of cancellations
}

func newRoundTripper(base http.RoundTripper, streamable bool, o Options) *roundTripper {
	t := &roundTripper{base: base, log: o.Logger, streamable: streamable, maxBody: int64(o.MaxBody),
		maxFrame: int64(o.MaxFrame)}
	t.ctx, t.abort = context.WithCancel(context.Background())
	return t
}

// RoundTrip implements [http.RoundTripper], for the SDK.
func (t *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.roundTrip(r)
	n, _ := r.Context().Value(noteKey{}).(*note)
	if err == nil && t.streamable && n == nil && resp.StatusCode < 300 && t.media(resp) == "text/event-stream" {
		resp.Body = &filteredStream{Closer: resp.Body, hook: t.hook, log: t.log,
			in: wire.NewEventReader(resp.Body, int(t.maxFrame))}
	}
	return resp, err
}

// roundTrip is RoundTrip without a filter for streams.
func (t *roundTripper) roundTrip(r *http.Request) (*http.Response, error) {
	if resp, ok, err := injected(r); ok {
		return resp, err
	}
	n, _ := r.Context().Value(noteKey{}).(*note)
	r = n.traced(r)
	if t.keepCancels.Load() && isCancellation(r) {
		_ = r.Body.Close() // nobody has read from it
		return madeUp(r, http.StatusAccepted, "", ""), nil
	}
	post := r.Method == http.MethodPost
	if post && r.ContentLength > t.maxBody {
		_ = r.Body.Close() // nobody has read from it
		return nil, &wire.NotSentError{Cause: &wire.TooLargeError{Size: int(r.ContentLength), Limit: int(t.maxBody)}}
	}
	if err := t.ctx.Err(); err != nil && post { // or it might still slip out
		_ = r.Body.Close() // nobody has read from it
		return nil, &wire.NotSentError{Cause: err}
	}
	if post && !t.streamable {
		return t.base.RoundTrip(r) // the connection of SSE ends its requests by itself
	}
	ctx, cancel := context.WithCancel(r.Context())
	unhook := context.AfterFunc(t.ctx, cancel)
	end := func() { unhook(); cancel() }
	if !post {
		ctx, _ = wire.WithTrace(ctx) // not the handshake's: what becomes of streams is no evidence about calls
	}
	if t.streamable && isOptionalStream(r) {
		return t.openStream(r.WithContext(ctx), end)
	}
	id, call := int64(0), false
	if post && n != nil && !n.direct {
		if id, call = callID(r); call {
			n.RequestID.Store(id)
		}
	}
	r = r.WithContext(ctx)
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		end()
		return nil, err
	}
	if call && resp.StatusCode < 300 {
		return t.readForSDK(r, id, n, resp, end), nil
	}
	body := &body{ReadCloser: resp.Body, end: end}
	resp.Body = body
	media := t.media(resp)
	switch {
	case !post || !t.streamable:
	case resp.StatusCode >= 400:
		return t.refused(r, resp), nil
	case media != "text/event-stream":
		body.limit = t.maxFrame
	}
	return resp, nil
}

// media is the type of a response, which is noted if no MCP server would answer with it.
func (t *roundTripper) media(resp *http.Response) string {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // what does not parse is odd as well
	if resp.StatusCode < 300 && media != "" && media != "application/json" && media != "text/event-stream" {
		t.oddMedia.Store(&media)
	}
	return media
}

// openStream asks for the stream of what the server says outside of calls, which may take for ever
// to begin. end ends the request.
func (t *roundTripper) openStream(r *http.Request, end func()) (*http.Response, error) {
	came := make(chan streamAnswer, 1)
	go func() { // ends with the request
		resp, err := t.base.RoundTrip(r) //nolint:bodyclose // who takes it from came does
		came <- streamAnswer{resp, err}
	}()
	patience := time.NewTimer(streamPatience)
	defer patience.Stop()
	select {
	case a := <-came:
		switch {
		case a.err == nil:
			a.resp.Body = &body{ReadCloser: a.resp.Body, end: end}
			t.media(a.resp)
			return a.resp, nil
		case t.ctx.Err() != nil:
			end()
			return noStream(r), nil
		}
		end()
		return nil, a.err
	case <-patience.C:
	}
	resp := madeUp(r, http.StatusOK, "text/event-stream", "")
	resp.ContentLength = -1
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() { // Close of the body waits for it
		defer close(done)
		_ = pw.CloseWithError(t.followStream(r, came, pw)) // never fails
	}()
	resp.Body = &body{ReadCloser: pr, end: func() { end(); <-done }}
	return resp, nil
}

type streamAnswer struct {
	resp *http.Response
	err  error
}

// streamWaits are those before a stream is asked for again.
var streamWaits = backoff.Policy{Initial: time.Second, Multiplier: 2, Max: 30 * time.Second, Jitter: 0.2}

// followStream writes the stream to w once it has come, and returns when it ends, with the request
// at the latest. A server that has no such stream says nothing on it.
func (t *roundTripper) followStream(r *http.Request, came <-chan streamAnswer, w io.Writer) error {
	ctx := r.Context()
	a := <-came
	for n := 1; ; n++ {
		if a.err == nil && a.resp.StatusCode == http.StatusOK && t.media(a.resp) == "text/event-stream" {
			defer a.resp.Body.Close() // it was read
			_, err := io.Copy(w, a.resp.Body)
			return err
		}
		if a.err == nil {
			_ = a.resp.Body.Close() // what it says is of no interest
		}
		if a.err == nil && a.resp.StatusCode < http.StatusInternalServerError {
			<-ctx.Done()
		}
		if err := backoff.Sleep(ctx, streamWaits.Wait(n)); err != nil {
			return err
		}
		a.resp, a.err = t.base.RoundTrip(r.Clone(ctx)) //nolint:bodyclose // the next turn does
	}
}

// post sends a POST of the fast path, whose context ends with the session. Its answers are not
// bounded.
func (t *roundTripper) post(r *http.Request) (*http.Response, error) {
	if r.ContentLength > t.maxBody {
		return nil, &wire.NotSentError{Cause: &wire.TooLargeError{Size: int(r.ContentLength), Limit: int(t.maxBody)}}
	}
	if err := t.ctx.Err(); err != nil {
		return nil, &wire.NotSentError{Cause: err}
	}
	n, _ := r.Context().Value(noteKey{}).(*note)
	resp, err := wire.Send(t.base, n.traced(r))
	if err == nil && resp.StatusCode >= 400 {
		resp = t.refused(r, resp)
	}
	return resp, err
}

// CloseIdleConnections is called by [http.Client.CloseIdleConnections].
func (t *roundTripper) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// refused keeps what the server says about a refusal, for the trace and the note, and hands it to
// the SDK as the failure of one message.
func (t *roundTripper) refused(r *http.Request, resp *http.Response) *http.Response {
	b, err := io.ReadAll(io.LimitReader(resp.Body, codec.MaxErrorBody))
	_ = resp.Body.Close() // the rest is of no interest
	if err != nil {
		b = nil
	}
	if n, ok := r.Context().Value(noteKey{}).(*note); ok {
		text := string(b)
		n.refusal.Store(&text)
	}
	resp.Body = io.NopCloser(bytes.NewReader(b))
	var env wire.Envelope
	if r.Header.Get(codec.VersionHeader) > codec.Version20251125 && resp.StatusCode < 500 && env.Scan(b) &&
		env.Error != nil {
		return resp // an answer that has a status of its own: the SDK takes it for that
	}
	passing(r, resp)
	return resp
}

// body is an answer's body: it ends its request when it is closed, and is bounded.
type body struct {
	io.ReadCloser
	end   func()
	limit int64 // in bytes; 0: none
	size  int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.size += int64(n); b.limit > 0 && b.size > b.limit {
		return 0, &wire.TooLargeError{Limit: int(b.limit), Inbound: true}
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// readForSDK gives the SDK the response to its call id as events, of which each is a message that
// it understands. It would end the session, for everybody, at one that it does not, and wait until
// the call's deadline where there is no answer. end ends the request.
func (t *roundTripper) readForSDK(r *http.Request, id int64, n *note, resp *http.Response, end func()) *http.Response {
	out := *resp
	out.Header = resp.Header.Clone()
	out.Header.Set("Content-Type", "text/event-stream")
	out.ContentLength = -1
	pr, pw := io.Pipe()
	send := func(raw []byte) {
		// fails when the SDK has closed its end
		_, _ = fmt.Fprintf(pw, "data: %s\n\n", codec.AppendOneLine(nil, raw))
	}
	reply := func(msg *jsonrpc.Response) {
		if raw, err := jsonrpc.EncodeMessage(msg); err == nil {
			send(raw)
		}
	}
	p := &postReader{id: id, log: t.log, maxFrame: t.maxFrame,
		answer: func(env *wire.Envelope) { reply(env.Response(id, n.Trace)) },
		other: func(raw []byte, env *wire.Envelope) {
			if !t.hook(raw, env) {
				send(raw)
			}
		},
		resume: func(ctx context.Context, lastEvent string) (*http.Response, error) {
			return t.roundTrip(resumeRequest(ctx, r, lastEvent))
		}}
	done := make(chan struct{})
	go func() { // Close of the body waits for it
		defer close(done)
		if err := p.read(r.Context(), resp); err != nil {
			n.failed.Store(&err)
			env := wire.Envelope{}
			reply(env.Response(id, nil)) // an error, in whose place the caller gets err
		}
		_ = pw.Close() // never fails
	}()
	out.Body = &body{ReadCloser: pr, end: func() { end(); <-done }}
	return &out
}
