//go:build unix

package post

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
)

// rawServer answers the requests of each connection with the same bytes, and counts both. last: it
// closes the connection then.
type rawServer struct {
	url         string
	conns, reqs atomic.Int32
}

func newRawServer(t *testing.T, answer string, last bool) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{url: "http://" + l.Addr().String()}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			all.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				in := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					s.reqs.Add(1)
					if _, err := io.WriteString(c, answer); err != nil || last {
						return
					}
				}
			})
		}
	})
	return s
}

// client sends what a Client takes with it, and the rest by net/http.
type client struct {
	*Client
	base *http.Transport
}

func newClient(t *testing.T, origin string) *client {
	t.Helper()
	u, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	base := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	c := &client{New(u, base, net.Dialer{}), base}
	t.Cleanup(func() { c.CloseIdle(); base.CloseIdleConnections() })
	return c
}

// RoundTrip implements [http.RoundTripper].
func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.Takes(r) {
		return c.Client.RoundTrip(r, unasked{})
	}
	return c.base.RoundTrip(r)
}

// unasked is the evidence of a request that nobody asks about.
type unasked struct{}

func (unasked) Claim() (own, ok bool) { return false, true }
func (unasked) Undo(bool)             {}

// sendPost returns the status and the body.
func sendPost(ctx context.Context, rt http.RoundTripper, url, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", resp.ContentLength, " ", resp.Header.Get("X-A"), " ", string(b)), err
}

// An answer is understood as net/http does, and connections are used again when they are
// there.
func TestAnswersAreAsNetHTTP(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		last   bool
	}{
		"length":     {"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi", false},
		"no body":    {"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", false},
		"no content": {"HTTP/1.1 204 No Content\r\n\r\n", false},
		"chunks": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false},
		"trailer": {"HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: " +
			"chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: t\r\n\r\n", false},
		"until the end": {"HTTP/1.1 200 OK\r\n\r\nabc", true},
		"HTTP/1.0":      {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false},
		"close":         {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", true},
		"early hints": {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: " +
			"2\r\n\r\nhi", false},
		"hints without end":     {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 7), true},
		"error":                 {"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", false},
		"short":                 {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", true},
		"short chunk":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", true},
		"no answer":             {"", true},
		"half of the headers":   {"HTTP/1.1 200 OK\r\nX-A: b\r\n", true},
		"no HTTP":               {"hello\r\n\r\n", true},
		"two lengths":           {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", true},
		"a length that is none": {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			type outcome struct {
				said        string
				failed      bool
				conns, reqs int32
			}
			try := func(rt func(url string) http.RoundTripper) (o outcome) {
				s := newRawServer(t, c.answer, c.last)
				tr := rt(s.url)
				for range 2 {
					said, err := sendPost(t.Context(), tr, s.url, "{}")
					o.said, o.failed = o.said+said+"|", o.failed || err != nil
				}
				o.conns, o.reqs = s.conns.Load(), s.reqs.Load()
				return o
			}
			ours := try(func(url string) http.RoundTripper { return newClient(t, url) })
			theirs := try(func(string) http.RoundTripper {
				tr := &http.Transport{DisableCompression: true}
				t.Cleanup(tr.CloseIdleConnections)
				return tr
			})
			if ours != theirs {
				t.Errorf("got %+v, net/http %+v", ours, theirs)
			}
		})
	}
}

// A connection with more data than its answer is not used again. What net/http makes of it depends
// on whether one of its goroutines has seen that before the next request.
func TestDropsAConnectionWithMoreThanItsAnswer(t *testing.T) {
	s := newRawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", false)
	tr := newClient(t, s.url)
	for range 2 {
		if said, err := sendPost(t.Context(), tr, s.url, "{}"); err != nil || !strings.HasSuffix(said, "hi") {
			t.Errorf("%q %v", said, err)
		}
	}
	if s.conns.Load() != 2 || s.reqs.Load() != 2 {
		t.Errorf("%d connections, %d requests", s.conns.Load(), s.reqs.Load())
	}
}

// A server gets the same bytes of meaning, whichever way a request took.
func TestRequestsAreAsNetHTTP(t *testing.T) {
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		names := slices.Sorted(maps.Keys(r.Header))
		said := fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Proto, " ", r.Host, " ", r.ContentLength, " ",
			r.TransferEncoding, " ", r.Close, " ", string(body), " ", err)
		for _, k := range names {
			said += fmt.Sprintf(" %s=%q", k, r.Header[k])
		}
		got <- said
	}))
	defer srv.Close()
	plain := &http.Transport{DisableCompression: true}
	defer plain.CloseIdleConnections()
	ours := newClient(t, srv.URL)
	for name, c := range map[string]struct {
		url    string
		header http.Header
		body   string
	}{
		"plain": {"/mcp", http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, " +
			"text/event-stream"}}, "{}"},
		"no path":         {"", nil, "{}"},
		"a query":         {"/messages/?session_id=1%2F2&a=b+c&d=%20", nil, "{}"},
		"an escaped path": {"/a%2Fb/c%20d/é", nil, "{}"},
		"many values":     {"/", http.Header{"X-A": {"1", "2", ""}, "x-b": {" trimmed\t"}, "X-Utf": {"é"}}, "{}"},
		"a name":          {"/", http.Header{"User-Agent": {"me/1"}}, "{}"},
		"no name":         {"/", http.Header{"User-Agent": {""}}, "{}"},
		"nor any":         {"/", http.Header{"User-Agent": nil}, "{}"},
		"fields of ours": {"/", http.Header{"Host": {"elsewhere"}, "Content-Length": {"7"},
			"Transfer-Encoding": {"chunked"}, "Trailer": {"X"}}, "{}"},
		"a large body": {"/", nil, strings.Repeat("x", maxBody)},
	} {
		t.Run(name, func(t *testing.T) {
			send := func(rt http.RoundTripper) string {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+c.url,
					strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				if c.header != nil {
					r.Header = c.header.Clone()
				}
				if rt == ours && !ours.Takes(r) {
					t.Error("it is not taken")
				}
				resp, err := rt.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Fatal(resp.Status)
				}
				return <-got
			}
			if a, b := send(ours), send(plain); a != b {
				t.Errorf("the server got\n%s\nwhere net/http sends\n%s", a, b)
			}
		})
	}
	t.Run("a body of another length", func(t *testing.T) {
		for _, n := range []int64{1, 3} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = n
			resp, err := ours.RoundTrip(r)
			if err == nil {
				resp.Body.Close()
				t.Errorf("%d bytes were announced, and two sent", n)
			}
		}
	})
}

func TestTakesPlainPOSTs(t *testing.T) {
	const host = "http://127.0.0.1:8000"
	d := newClient(t, host).Client
	request := func(change func(r *http.Request)) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, host+"/mcp", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		return r
	}
	if !d.Takes(request(func(*http.Request) {})) {
		t.Error("not taken")
	}
	for name, change := range map[string]func(r *http.Request){
		"GET":                       func(r *http.Request) { r.Method = http.MethodGet },
		"another host":              func(r *http.Request) { r.URL.Host = "127.0.0.1:8001" },
		"TLS":                       func(r *http.Request) { r.URL.Scheme = "https" },
		"streamed":                  func(r *http.Request) { r.GetBody = nil },
		"large":                     func(r *http.Request) { r.ContentLength = maxBody + 1 },
		"no length":                 func(r *http.Request) { r.ContentLength = -1 },
		"expecting":                 func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"upgrading":                 func(r *http.Request) { r.Header.Set("Upgrade", "h2c") },
		"a query that is two lines": func(r *http.Request) { r.URL.RawQuery = "a=1 HTTP/1.1\r\nX-Evil: yes" },
		"a tab in the query":        func(r *http.Request) { r.URL.RawQuery = "a=\t" },
	} {
		if d.Takes(request(change)) {
			t.Errorf("%s: taken", name)
		}
	}
	for why, origin := range map[string]string{"a name that net/http has to encode": "http://bücher.example:8000",
		"TLS": "https://127.0.0.1:8000"} {
		if newClient(t, origin).Client != nil {
			t.Errorf("%s: there is a client", why)
		}
	}
}

// A server may close a connection that is idle at any time.
func TestLeavesDeadConnections(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hi")
	}))
	defer srv.Close()
	hc := newClient(t, srv.URL)
	d := hc.Client
	for i := range 3 {
		if _, err := sendPost(t.Context(), hc, srv.URL, "{}"); err != nil {
			t.Fatal(i, err)
		}
		srv.CloseClientConnections()
		d.mu.Lock()
		c := d.free[0]
		d.mu.Unlock()
		testkit.Eventually(t, "the connection to be seen closed", func() bool { return !c.alive() })
	}
	t.Run("with unasked data", func(t *testing.T) {
		s := newRawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 408 Request "+
			"Timeout\r\nContent-Length: 0\r\n\r\n", false)
		hc := newClient(t, s.url)
		for range 3 {
			if said, err := sendPost(t.Context(), hc, s.url, "{}"); err != nil ||
				!strings.HasPrefix(said, "200") {
				t.Errorf("%q, %v", said, err)
			}
		}
	})
}

func TestEndsWithItsContext(t *testing.T) {
	reached, release := make(chan struct{}, 1), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		reached <- struct{}{}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	hc := newClient(t, srv.URL)
	why := errors.New("that is why")
	for _, path := range []string{"/header", "/body"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := sendPost(ctx, hc, srv.URL+path, "{}")
			done <- err
		}()
		<-reached
		cancel(why)
		select {
		case err := <-done:
			if !errors.Is(err, why) {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal(path, "hangs")
		}
	}
	if _, err := sendPost(canceled(t), hc, srv.URL, "{}"); !errors.Is(err, context.Canceled) {
		t.Errorf("before it is sent: %v", err)
	}
	t.Run("closed while it is read", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/body", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		<-reached
		done := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, resp.Body)
			done <- err
		}()
		resp.Body.Close()
		select {
		case err := <-done:
			if err == nil {
				t.Error("that was the end of the body")
			}
		case <-time.After(30 * time.Second):
			t.Fatal("hangs")
		}
		if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Error(err)
		}
	})
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestBounds(t *testing.T) {
	t.Run("headers", func(t *testing.T) {
		s := newRawServer(t, "HTTP/1.1 200 OK\r\nX-A: "+strings.Repeat("x", maxHeader)+"\r\nContent-Length: "+
			"0\r\n\r\n", true)
		if _, err := sendPost(t.Context(), newClient(t, s.url), s.url, "{}"); !errors.Is(err, errHeaders) {
			t.Error(err)
		}
	})
	t.Run("a body has its own", func(t *testing.T) {
		size := 2 * maxHeader
		s := newRawServer(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size,
			bytes.Repeat([]byte("x"), size)), false)
		if said, err := sendPost(t.Context(), newClient(t, s.url), s.url, "{}"); err != nil ||
			len(said) < size {
			t.Error(len(said), err)
		}
	})
	t.Run("idle connections", func(t *testing.T) {
		const callers = 6
		var all sync.WaitGroup
		together := make(chan struct{})
		var in atomic.Int32
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			if in.Add(1) == callers {
				close(together)
			}
			<-together
		}))
		defer srv.Close()
		hc := newClient(t, srv.URL)
		d := hc.Client
		d.keep, d.idle = 2, time.Minute
		for range callers {
			all.Go(func() {
				if _, err := sendPost(t.Context(), hc, srv.URL, "{}"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		free := func() int {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.free)
		}
		if n := free(); n != 2 {
			t.Errorf("%d are kept", n)
		}
		d.mu.Lock()
		d.free[0].since = time.Now().Add(-d.idle)
		d.mu.Unlock()
		d.expire()
		if n := free(); n != 1 {
			t.Errorf("%d are kept after their time", n)
		}
		hc.CloseIdle()
		if n := free(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// What was in use when the client was closed is not kept after that.
func TestKeepsNothingOnceClosed(t *testing.T) {
	reached, release := make(chan struct{}, 1), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		reached <- struct{}{}
		<-release
	}))
	defer srv.Close()
	hc := newClient(t, srv.URL)
	d := hc.Client
	free := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.free)
	}
	done := make(chan error, 1)
	post := func() { _, err := sendPost(t.Context(), hc, srv.URL, "{}"); done <- err }
	go post()
	<-reached
	hc.CloseIdle()
	close(release)
	if err := <-done; err != nil || free() != 0 {
		t.Errorf("%v, %d connections are kept", err, free())
	}
	post()
	if err := <-done; err != nil || free() != 1 {
		t.Errorf("%v, %d connections are kept of a client that is used again", err, free())
	}
}

// While a machine sleeps no timer runs, and what was idle may have been forgotten on the way.
func TestLeavesOldConnections(t *testing.T) {
	s := newRawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false)
	hc := newClient(t, s.url)
	d := hc.Client
	for range 2 {
		if _, err := sendPost(t.Context(), hc, s.url, "{}"); err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.free[0].since = time.Now().Round(0).Add(-d.idle) // by the clock on the wall
		d.mu.Unlock()
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections for 2 requests", n)
	}
}

// A connection can be lost at any moment, and its request then fails.
func TestManyAtOnce(t *testing.T) {
	var served atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if served.Add(1)%50 == 0 {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(b)
	}))
	srv.Config.ErrorLog = nil
	defer srv.Close()
	hc := newClient(t, srv.URL)
	var all sync.WaitGroup
	var lost atomic.Int32
	for i := range 16 {
		all.Go(func() {
			for k := range 100 {
				want := fmt.Sprintf("%d/%d", i, k)
				said, err := sendPost(t.Context(), hc, srv.URL, want)
				if err != nil {
					lost.Add(1)
				} else if !strings.HasSuffix(said, " "+want) {
					t.Errorf("%q for %q", said, want)
				}
			}
		})
	}
	all.Wait()
	if n := lost.Load(); n != 32 || served.Load() != 1600 {
		t.Errorf("%d were lost of %d served: want 32 of 1600", n, served.Load())
	}
}
