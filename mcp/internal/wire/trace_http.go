package wire

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// traced returns r so that net/http sends it with t as its evidence.
//
// net/http asks for the body anew only when nothing of the first was written or the server refused
// it: then the claim is taken back.
func traced(r *http.Request, t *Trace) *http.Request {
	if t.late.Load() {
		return claimOnConn(r, t)
	}
	r = r.WithContext(r.Context()) // a RoundTripper must not change the request it is given
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	cur := &tracedBody{ReadCloser: r.Body, t: t}
	r.Body = cur
	if get := r.GetBody; get != nil {
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
	return r
}

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

// claimOnConn claims t when the request gets a connection, which is before a byte of it is written.
// net/http then sends a body in memory together with the headers, which a tracedBody prevents: over
// TLS that costs 19 of 79 µs. There is no withdrawing a request that has a connection, so this is
// only for those whose Trace is asked after they have returned.
func claimOnConn(r *http.Request, t *Trace) *http.Request {
	var own atomic.Bool
	hooks := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		if mine, _ := t.Claim(); mine {
			own.Store(true)
		}
	}}
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), hooks))
	if get := r.GetBody; get != nil {
		r.GetBody = func() (io.ReadCloser, error) {
			t.Undo(own.Swap(false))
			return get()
		}
	}
	return r
}

// Send is rt.RoundTrip for a request whose body is in memory and whose [Trace], that of its
// context, is asked after Send has returned: the cheaper kind of evidence is enough for it.
func Send(rt http.RoundTripper, r *http.Request) (*http.Response, error) {
	if t := traceOf(r.Context()); t != nil {
		t.late.Store(true)
	}
	return rt.RoundTrip(r)
}
