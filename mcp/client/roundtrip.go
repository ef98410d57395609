package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
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
	waits       func(id int64) bool    // whether a request waits for an answer
	hello       func(*wire.Envelope)   // gets the answers, of which the first begin the session
	oddMedia    atomic.Pointer[string] // the last media type that no MCP server would answer with
	keepCancels atomic.Bool            // the server is not told of cancellations
	// as in [http.Client], for the stream outside of calls
	redirect  func(r *http.Request, via []*http.Request) error
	forgotten atomic.Bool // the server does not know the session of its stream any more
}

func newRoundTripper(base http.RoundTripper, streamable bool, o Options) *roundTripper {
	t := &roundTripper{base: base, log: o.Logger, streamable: streamable, maxBody: int64(o.MaxBody),
		maxFrame: int64(o.MaxFrame), hello: func(*wire.Envelope) {}, waits: func(int64) bool { return true }}
	t.ctx, t.abort = context.WithCancel(context.Background())
	return t
}

// RoundTrip implements [http.RoundTripper], for the SDK.
func (t *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.roundTrip(r)
	n, _ := r.Context().Value(noteKey{}).(*note)
	unread := n == nil || r.Method == http.MethodGet // else it is read for the SDK
	if err == nil && t.streamable && unread && !isOptionalStream(r) && t.isStream(resp) {
		resp.Body = t.filter(resp.Body)
	}
	return resp, err
}

func (t *roundTripper) isStream(resp *http.Response) bool {
	return resp.StatusCode < 300 && t.media(resp) == "text/event-stream"
}

func (t *roundTripper) filter(stream io.ReadCloser) *filteredStream {
	return &filteredStream{Closer: stream, hook: t.hook, log: t.log,
		in: wire.NewEventReader(stream, int(t.maxFrame))}
}

// roundTrip is RoundTrip without a filter for streams.
func (t *roundTripper) roundTrip(r *http.Request) (*http.Response, error) {
	if resp, ok, err := injected(r); ok {
		return resp, err
	}
	n, _ := r.Context().Value(noteKey{}).(*note)
	r = n.traced(r)
	if t.keepCancels.Load() && posted(r) == wire.MethodCancelled {
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
	case resp.StatusCode >= 400 && posted(r) == codec.MethodInitialized:
		warnInitialized(t.log, resp.StatusCode)
		_ = body.Close() // what it says is of no interest
		return madeUp(r, http.StatusAccepted, "", ""), nil
	case resp.StatusCode >= 400 || wire.IsDeadRedirect(r, resp):
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
// to begin. What it returns ends with the session, however often the server's stream breaks: only
// an answer that says that there is none is passed on. end ends the request.
func (t *roundTripper) openStream(r *http.Request, end func()) (*http.Response, error) {
	if t.forgotten.Load() {
		end()
		return madeUp(r, http.StatusNotFound, "", ""), nil
	}
	came := make(chan streamAnswer, 1)
	go func() { // ends with the request
		resp, err := t.getStream(r) //nolint:bodyclose // who takes it from came does
		came <- streamAnswer{resp, err}
	}()
	patience := time.NewTimer(streamPatience)
	defer patience.Stop()
	select {
	case a := <-came:
		switch {
		case a.err != nil && t.ctx.Err() != nil:
			end()
			return noStream(r), nil
		case a.err == nil && !t.isStream(a.resp):
			a.resp.Body = &body{ReadCloser: a.resp.Body, end: end}
			return a.resp, nil
		}
		came <- a
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

// getStream follows redirects itself: one that leads nowhere would be a failure to the SDK.
func (t *roundTripper) getStream(r *http.Request) (*http.Response, error) {
	resp, err := (&http.Client{Transport: t.base, CheckRedirect: t.redirect}).Do(r)
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err // without the URL, which may hold a secret
	}
	return resp, err
}

// followStream writes the messages of the stream to w, goes on where it breaks, and returns with
// the request. A server that has no such stream says nothing on it. It returns earlier when the
// server has forgotten the session: the SDK then asks again, and learns that.
func (t *roundTripper) followStream(r *http.Request, came <-chan streamAnswer, w io.Writer) error {
	ctx := r.Context()
	var (
		lastID string
		retry  time.Duration
		seen   bool // there was a stream
	)
	a := <-came
	for failed := 1; ; failed++ {
		err := a.err
		if err == nil {
			status := a.resp.StatusCode
			switch {
			case t.isStream(a.resp):
				began, f := time.Now(), t.filter(a.resp.Body)
				err = copyMessages(w, f)
				if f.said || f.in.LastID != "" && f.in.LastID != lastID || time.Since(began) >= streamWaits.Initial {
					failed = 1 // that was one which worked
				}
				seen, lastID, retry = true, cmp.Or(f.in.LastID, lastID), cmp.Or(f.in.Retry, retry)
			case seen && status == http.StatusNotFound && r.Header.Get(codec.SessionHeader) != "":
				t.forgotten.Store(true)
				_ = a.resp.Body.Close() // what it says is of no interest, as below
				return io.EOF
			case status == http.StatusMethodNotAllowed, !seen && status < http.StatusInternalServerError:
				_ = a.resp.Body.Close()
				<-ctx.Done()
			case status < http.StatusInternalServerError:
				lastID = "" // it may be what the server refuses
			}
			if _ = a.resp.Body.Close(); err == nil {
				err = errors.New("the server answered " + a.resp.Status)
			}
		}
		wait := waitsAfter(retry).Wait(failed)
		if ctx.Err() == nil {
			t.log.Debug("no stream outside of calls; asking for it again", "reason", err, "wait", wait)
		}
		if err := backoff.Sleep(ctx, wait); err != nil {
			return err
		}
		a.resp, a.err = t.getStream(resumed(ctx, r, lastID)) //nolint:bodyclose // the next turn does
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
	if err == nil && (resp.StatusCode >= 400 || wire.IsDeadRedirect(r, resp)) {
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
	if resp.StatusCode < 400 { // a redirect, of which the trace knows the reason
		_ = resp.Body.Close()
		resp.Body = http.NoBody
		passing(r, resp)
		return resp
	}
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
	p := &postReader{id: id, log: t.log, maxFrame: t.maxFrame, waits: t.waits,
		answer: func(env *wire.Envelope) { t.hello(env); reply(env.Response(id, n.Trace)) },
		other: func(raw []byte, env *wire.Envelope) {
			if left := leftBy(t.hook, raw, env); left != nil {
				send(left)
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
