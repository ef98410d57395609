package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answering returns a client of a server that runs h, and counts of its requests and connections.
func answering(t *testing.T, h http.HandlerFunc) (rt http.RoundTripper, url string, reqs, conns *atomic.Int32) {
	t.Helper()
	reqs, conns = new(atomic.Int32), new(atomic.Int32)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reqs.Add(1)
		h(w, r)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	hc, err := NewHTTPClient(HTTPOptions{Origin: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hc.CloseIdleConnections)
	return hc.Transport, srv.URL, reqs, conns
}

// sendPost sends a small POST, which package post takes where it can.
func sendPost(ctx context.Context, rt http.RoundTripper, url string, header http.Header) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	if header != nil {
		r.Header = header
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// What no header can hold is an error, as with net/http, and not something else that is sent.
func TestPostRefusesBadHeaders(t *testing.T) {
	rt, url, reqs, _ := answering(t, func(http.ResponseWriter, *http.Request) {})
	for name, value := range map[string]string{"Authorization": "Bearer secret\n", "X-B": "b\r\nX-Evil: yes",
		"X-A": "a\x00b", "X A": "b", "": "b"} {
		ctx, trace := WithTrace(t.Context())
		err := sendPost(ctx, rt, url, http.Header{name: {value}})
		if err == nil {
			t.Errorf("%s: %q was sent", name, value)
		} else if trace.Sent() || strings.Contains(err.Error(), "secret") || reqs.Load() != 0 {
			t.Errorf("%s: sent %v, %v", name, trace.Sent(), err)
		}
	}
}

// The evidence about a request that was not answered.
func TestPostTrace(t *testing.T) {
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") }
	t.Run("no server", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		url := "http://" + l.Addr().String()
		l.Close()
		hc, err := NewHTTPClient(HTTPOptions{Origin: url})
		if err != nil {
			t.Fatal(err)
		}
		ctx, trace := WithTrace(t.Context())
		if err := sendPost(ctx, hc.Transport, url, nil); err == nil || trace.Sent() {
			t.Errorf("%v, sent %v", err, trace.Sent())
		}
	})
	t.Run("no answer", func(t *testing.T) {
		rt, url, _, _ := answering(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		ctx, trace := WithTrace(t.Context())
		if err := sendPost(ctx, rt, url, nil); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) ||
			!trace.Sent() {
			t.Errorf("%v, sent %v", err, trace.Sent())
		}
	})
	t.Run("withdrawn", func(t *testing.T) {
		rt, url, reqs, conns := answering(t, ok)
		ctx, trace := WithTrace(t.Context())
		if trace.Sent() {
			t.Fatal("sent")
		}
		if err := sendPost(ctx, rt, url, nil); err == nil || reqs.Load() != 0 {
			t.Errorf("%v, %d requests", err, reqs.Load())
		}
		if err := sendPost(t.Context(), rt, url, nil); err != nil || conns.Load() != 1 {
			t.Errorf("%v, %d connections: the unused one serves", err, conns.Load())
		}
	})
	t.Run("refused", func(t *testing.T) {
		rt, url, _, _ := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		ctx, trace := WithTrace(t.Context())
		err := sendPost(ctx, rt, url, nil)
		if he := trace.HTTPError(); err != nil || he == nil || !he.Refused() || he.RetryAfter != 7*time.Second {
			t.Errorf("%v, %v", err, trace.HTTPError())
		}
	})
}
