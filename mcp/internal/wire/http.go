package wire

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openmas/openmas/mcp/internal/post"
)

// HTTPOptions configures the client of [NewHTTPClient]. Zero values select the defaults.
type HTTPOptions struct {
	// Origin is a URL of the server, the only one that may see Header. Required.
	Origin string
	// Socket is the path of a Unix socket where the server of Origin listens; empty: it listens
	// where Origin says.
	Socket string
	// Header is added to every request to Origin that does not have the field yet.
	Header http.Header
	// Concurrency is how many requests run at once, and so how many connections are kept; 64.
	Concurrency int
	DialTimeout time.Duration // 10 s
	TLSTimeout  time.Duration // 10 s
	TLS         *tls.Config   // nil: the system's
}

// NewHTTPClient returns a client for one MCP server with a transport of its own and without an
// overall timeout, since streams last. It fills the [Trace] of each request whose context has one,
// and follows redirects within one origin only. Close it with CloseIdleConnections.
func NewHTTPClient(o HTTPOptions) (*http.Client, error) {
	dialer := net.Dialer{Timeout: orDefault(o.DialTimeout, 10*time.Second), KeepAlive: 15 * time.Second}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     o.TLS,
		TLSHandshakeTimeout: orDefault(o.TLSTimeout, 10*time.Second),
		ForceAttemptHTTP2:   true,
		// compression delays events, and costs more than it saves on the networks of most servers
		DisableCompression:    true,
		MaxIdleConns:          orDefault(o.Concurrency, 64) + 2, // and the streams
		MaxIdleConnsPerHost:   orDefault(o.Concurrency, 64) + 2,
		IdleConnTimeout:       30 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	if o.Socket != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", o.Socket)
		}
	}
	u, err := httpURL(o.Origin)
	if err != nil {
		return nil, fmt.Errorf("an HTTP client's origin: %w", err)
	}
	traced := &traceTransport{base: t}
	if o.Socket == "" { // what looks at idle connections knows those of TCP only
		traced.post = post.New(u, t, dialer)
	}
	var rt http.RoundTripper = traced
	if len(o.Header) > 0 {
		rt = &headerTransport{base: rt, origin: u, header: o.Header.Clone()}
	}
	return &http.Client{Transport: rt, CheckRedirect: sameOriginRedirect}, nil
}

// httpURL parses an absolute URL of http or https.
func httpURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("invalid URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("invalid URL %q: want http://host… or https://host…", u.Redacted())
	}
	return u, nil
}

func sameOriginRedirect(r *http.Request, via []*http.Request) error {
	if !sameOrigin(r.URL, via[0].URL) {
		return fmt.Errorf("redirect to another origin, %s://%s, refused", r.URL.Scheme, r.URL.Host)
	}
	if r.Method != via[0].Method { // 301, 302, 303: the message would be lost
		return fmt.Errorf("the server redirects a %s to %s, where it would become a %s: set the url to that",
			via[0].Method, bare(r.URL), r.Method)
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("%w, at last to %s", ErrRedirects, bare(r.URL))
	}
	return nil
}

const maxRedirects = 10

// ErrRedirects is the end of redirects that have none.
var ErrRedirects = fmt.Errorf("the server redirects more than %d times", maxRedirects)

// headerTransport adds fixed headers, which are often secrets, to requests to one origin.
type headerTransport struct {
	base   http.RoundTripper
	origin *url.URL
	header http.Header
}

func (t *headerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if sameOrigin(r.URL, t.origin) && !hasHeader(r.Header, t.header) {
		r = r.Clone(r.Context())
		addHeader(r.Header, t.header)
	}
	return t.base.RoundTrip(r)
}

// CloseIdleConnections is called by [http.Client.CloseIdleConnections].
func (t *headerTransport) CloseIdleConnections() { closeIdle(t.base) }

// hasHeader reports whether addHeader would add nothing.
func hasHeader(have, want http.Header) bool {
	for k := range want {
		if _, has := have[http.CanonicalHeaderKey(k)]; !has {
			return false
		}
	}
	return true
}

func addHeader(to, from http.Header) {
	for k, v := range from {
		if _, has := to[http.CanonicalHeaderKey(k)]; !has {
			to[http.CanonicalHeaderKey(k)] = v
		}
	}
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// traceTransport fills the [Trace] of each request whose context has one: whether its body was
// sent, and the answer if that is no success. It stands below an SDK client, which loses both.
type traceTransport struct {
	base http.RoundTripper
	post *post.Client // for the requests that it takes
}

// RoundTrip implements [http.RoundTripper].
func (t *traceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr := traceOf(r.Context())
	var resp *http.Response
	var err error
	switch {
	case t.post.Takes(r):
		resp, err = t.post.RoundTrip(r, tr)
	case tr == nil:
		resp, err = t.base.RoundTrip(r)
		return decoded(r, resp, err)
	default:
		resp, err = t.base.RoundTrip(traced(r, tr))
	}
	switch {
	case err != nil:
	case resp.StatusCode >= 400 || IsDeadRedirect(r, resp):
		tr.responded(httpError(r, resp, nil))
	default:
		tr.responded(nil)
	}
	return decoded(r, resp, err)
}

// decoded is an answer without its content encoding. None was asked for, but some proxies compress
// nevertheless.
func decoded(r *http.Request, resp *http.Response, err error) (*http.Response, error) {
	if err != nil || resp.ContentLength == 0 {
		return resp, err
	}
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return resp, nil
	case "gzip", "x-gzip":
		resp.Body = &gzipBody{ReadCloser: resp.Body}
		resp.Header.Del("Content-Encoding")
		resp.ContentLength = -1
		return resp, nil
	default:
		_ = resp.Body.Close() // nobody can read it
		return nil, fmt.Errorf("the answer to %s has the content encoding %s, which was not asked for: does a proxy "+
			"compress it?", op(r), clip([]byte(encoding), 40))
	}
}

// gzipBody is a body that was compressed.
type gzipBody struct {
	io.ReadCloser
	plain *gzip.Reader
}

// Read implements [io.Reader]. The first one waits for the head of the compressed data.
func (b *gzipBody) Read(p []byte) (n int, err error) {
	if b.plain == nil {
		if b.plain, err = gzip.NewReader(b.ReadCloser); err != nil {
			if b.plain = nil; errors.Is(err, io.EOF) {
				return 0, io.EOF // there is none
			}
			return 0, fmt.Errorf("decompress the answer: %w", err)
		}
	}
	return b.plain.Read(p)
}

// CloseIdleConnections is called by [http.Client.CloseIdleConnections].
func (t *traceTransport) CloseIdleConnections() {
	t.post.CloseIdle()
	closeIdle(t.base)
}
