package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestHTTPClientHeadersAndRedirects(t *testing.T) {
	seen := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- "other:" + r.Header.Get("Authorization")
	}))
	defer other.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		default:
			seen <- r.Header.Get("Authorization")
		}
	}))
	defer srv.Close()
	hc, err := NewHTTPClient(HTTPOptions{Origin: srv.URL + "/mcp", Header: http.Header{"authorization": {"Bearer s"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	get := func(url string, header string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		resp, err := hc.Do(r)
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		return <-seen, nil
	}
	for _, c := range []struct{ url, header, want string }{
		{srv.URL, "", "Bearer s"}, {srv.URL, "Bearer own", "Bearer own"}, {srv.URL + "/here", "", "Bearer s"},
		{other.URL, "", "other:"},
	} {
		if got, err := get(c.url, c.header); got != c.want || err != nil {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if _, err := get(srv.URL+"/away", ""); err == nil || !strings.Contains(err.Error(), "another origin") {
		t.Errorf("redirect: %v", err)
	}
	if _, err := NewHTTPClient(HTTPOptions{Header: http.Header{"A": {"b"}}}); err == nil {
		t.Error("headers without an origin")
	}
}

// TestTraceBelowStreamable shows what the SDK's streamable client reports about a call, and what
// the trace adds.
func TestTraceBelowStreamable(t *testing.T) {
	f := newFixture()
	status := make(chan int, 1)
	handler := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return f.Server }, nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case code := <-status:
			io.Copy(io.Discard, r.Body)
			if code == 0 {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Retry-After", "9")
			http.Error(w, "no", code)
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	hc, err := NewHTTPClient(HTTPOptions{Origin: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	cs := dial(t, &sdk.StreamableClientTransport{Endpoint: srv.URL, HTTPClient: hc, DisableStandaloneSSE: true}, nil)
	call := func() (*Trace, error) {
		ctx, trace := WithTrace(t.Context())
		ctx, cancel := context.WithTimeout(ctx, hang)
		defer cancel()
		_, err := echo(ctx, cs, echoIn{Text: "x"})
		return trace, err
	}
	if trace, err := call(); err != nil || !trace.Sent() || trace.HTTPError() != nil {
		t.Errorf("success: %v, sent %v, %v", err, trace.Sent(), trace.HTTPError())
	}
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		status <- code
		trace, err := call()
		if he := trace.HTTPError(); err == nil || he == nil || he.Status != code || he.RetryAfter != 9*time.Second ||
			!he.Refused() || !trace.Sent() {
			t.Errorf("%d: %v, traced %v", code, err, he)
		}
	}
	status <- 0
	if trace, err := call(); err == nil || !trace.Sent() || trace.HTTPError() != nil {
		t.Errorf("lost answer: %v, sent %v", err, trace.Sent())
	}
	for ss := range f.Sessions() {
		defer ss.Wait()
		defer ss.Close()
	}
	srv.CloseClientConnections()
	srv.Close()
	if trace, err := call(); err == nil || trace.Sent() {
		t.Errorf("refused connection: %v, sent %v", err, trace.Sent())
	}
}

func TestTracedBodyWithdrawn(t *testing.T) {
	reached := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			reached <- string(b)
		}
	}))
	defer srv.Close()
	hc, err := NewHTTPClient(HTTPOptions{Origin: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer hc.CloseIdleConnections()
	ctx, trace := WithTrace(t.Context())
	if trace.Sent() {
		t.Fatal("sent")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL, strings.NewReader("late"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := hc.Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("a withdrawn request: %v, %v", resp, err)
	}
	select {
	case got := <-reached:
		t.Errorf("the server got %q", got)
	default:
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-1": 0, "soon": 0, "99999999999": 0,
		"Fri, 01 May 2026 12:01:00 GMT": time.Minute, "Fri, 01 May 2026 11:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestGuard(t *testing.T) {
	guarded, err := Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		GuardOptions{Hosts: []string{"agents.example.org"}, Origins: []string{"https://app.example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(guarded) // on loopback
	defer srv.Close()
	self := strings.TrimPrefix(srv.URL, "http://")
	for _, c := range []struct {
		name, host, origin, site string
		want                     int
		key                      string // that the refusal names
	}{
		{"program", "", "", "", 200, ""},
		{"localhost", "localhost:99", "", "", 200, ""},
		{"IPv6", "[::1]:99", "", "", 200, ""},
		{"own page", "", "http://" + self, "same-origin", 200, ""},
		{"allowed host", "Agents.example.org", "", "", 200, ""},
		{"allowed origin", "", "https://app.example.org", "cross-site", 200, ""},
		{"rebinding", "evil.example.org", "", "", 403, "gateway.hosts"},
		{"rebinding, same origin", "evil.example.org:80", "http://evil.example.org:80", "same-origin", 403,
			"gateway.hosts"},
		{"localhost in disguise", "localhost.evil.org", "", "", 403, "gateway.hosts"},
		{"other page", "", "https://evil.example.org", "cross-site", 403, "gateway.origins"},
		{"other page, old browser", "", "https://evil.example.org", "", 403, "gateway.origins"},
		{"other port", "", "http://127.0.0.1:1", "same-site", 403, "gateway.origins"},
		{"sandboxed page", "", "null", "", 403, "gateway.origins"},
		{"image on another page", "", "", "cross-site", 403, ""},
		{"image on a page of another port", "", "", "same-site", 403, ""},
		{"own page, no origin", "", "", "same-origin", 200, ""},
		{"address bar", "", "", "none", 200, ""},
	} {
		for _, m := range []struct{ method, path string }{{"GET", "/sse"}, {"POST", "/messages/?session_id=1"},
			{"POST", "/mcp"}, {"DELETE", "/mcp"}} {
			t.Run(c.name+" "+m.method+" "+m.path, func(t *testing.T) {
				r, err := http.NewRequestWithContext(t.Context(), m.method, srv.URL+m.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = c.host
				for k, v := range map[string]string{"Origin": c.origin, "Sec-Fetch-Site": c.site} {
					if v != "" {
						r.Header.Set(k, v)
					}
				}
				resp, err := srv.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				said, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != c.want || !strings.Contains(string(said), c.key) {
					t.Errorf("%d, %s, %v, want %d and %s", resp.StatusCode, said, err, c.want, c.key)
				}
			})
		}
	}
	if _, err := Guard(nil, GuardOptions{Origins: []string{"example.org"}}); err == nil {
		t.Error("an origin without a scheme")
	}
}
