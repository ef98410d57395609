package wire

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// tracedBody claims its trace when the HTTP transport first reads the message: that is the last
// moment when nothing of it has been written. A hook into the transport (net/http/httptrace) could
// not stop a request that was withdrawn.
type tracedBody struct {
	io.ReadCloser
	t       *Trace
	claimed bool
	own     atomic.Bool
}

func (b *tracedBody) Read(p []byte) (int, error) {
	if !b.claimed {
		own, ok := b.t.Claim()
		if !ok {
			return 0, context.Canceled
		}
		b.own.Store(own)
		b.claimed = true
	}
	return b.ReadCloser.Read(p)
}

// traced makes a request tell t before its body is sent, for net/http.
func traced(r *http.Request, t *Trace) *http.Request {
	if t.late.Load() {
		return claimOnConn(r, t)
	}
	r = r.WithContext(r.Context()) // a RoundTripper must not change the request it is given
	traceBody(r, t)
	return r
}

// claimOnConn makes r tell t when it gets a connection, which is before a byte of it is written. It
// is for bodies in memory, which net/http sends together with the headers if they come as they are,
// and only for requests whose Trace is asked after they have returned: there is no withdrawing one
// that has a connection.
func claimOnConn(r *http.Request, t *Trace) *http.Request {
	var own atomic.Bool
	hooks := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if mine, _ := t.Claim(); mine {
			own.Store(true)
		}
	}}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), hooks))
	if get := r.GetBody; get != nil {
		// See traceBody.
		r.GetBody = func() (io.ReadCloser, error) {
			t.Undo(own.Swap(false))
			return get()
		}
	}
	return r
}

// Send is rt.RoundTrip for a request of the caller's own, with its body in memory. It keeps the
// [Trace] of the request's context, which is to be asked after Send has returned.
func Send(rt http.RoundTripper, r *http.Request) (*http.Response, error) {
	if t := traceOf(r.Context()); t != nil {
		t.late.Store(true)
	}
	return rt.RoundTrip(r)
}

// traceBody makes r, a request of our own, tell t when its body is sent.
func traceBody(r *http.Request, t *Trace) {
	if t == nil || r.Body == nil || r.Body == http.NoBody {
		return
	}
	cur := &tracedBody{ReadCloser: r.Body, t: t}
	r.Body = cur
	if get := r.GetBody; get != nil {
		// net/http asks for the body anew only when nothing of the first was written or the server
		// turned it away.
		r.GetBody = func() (io.ReadCloser, error) {
			body, err := get()
			if err != nil {
				return nil, err
			}
			t.Undo(cur.own.Load())
			cur = &tracedBody{ReadCloser: body, t: t}
			return cur, nil
		}
	}
}
