package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// HTTPError is an HTTP answer that is not a success.
type HTTPError struct {
	Status     int           // the status code
	RetryAfter time.Duration // from the Retry-After header; 0 if there was none
	Body       string        // the start of the body, at most 512 bytes; empty where the SDK reads the body
	Challenge  string        // the WWW-Authenticate header, at most 200 bytes; empty: there was none
	Op         string        // the request: method and URL without its query, which may hold a secret
}

func (e *HTTPError) Error() string {
	s := fmt.Sprintf("%s: %d %s", e.Op, e.Status, http.StatusText(e.Status))
	if e.Body != "" {
		s += ": " + e.Body
	}
	if e.Challenge != "" {
		s += " (WWW-Authenticate: " + e.Challenge + ")"
	}
	return s
}

// Refused reports whether the status means that the server refused the request before it acted on
// it: 3xx, 4xx and 503.
func (e *HTTPError) Refused() bool {
	return e.Status >= 300 && e.Status < 500 || e.Status == http.StatusServiceUnavailable
}

// httpError describes an answer of status 300 and above; body may be nil. Of a redirect it says why
// it is not followed.
func httpError(r *http.Request, resp *http.Response, body []byte) *HTTPError {
	e := &HTTPError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now()), Body: clip(body, 512),
		Challenge: clip([]byte(resp.Header.Get("Www-Authenticate")), 200), Op: op(r)}
	if why := deadRedirect(r, resp); why != "" {
		e.Body = why
	}
	return e
}

// IsDeadRedirect reports whether an answer to r is a redirect that is not followed.
func IsDeadRedirect(r *http.Request, resp *http.Response) bool { return deadRedirect(r, resp) != "" }

// deadRedirect says why a redirect of a POST is not followed, and what to do; empty: it is none, or
// may be followed.
func deadRedirect(r *http.Request, resp *http.Response) string {
	if resp.StatusCode < 300 || resp.StatusCode >= 400 || r.Method != http.MethodPost {
		return ""
	}
	to, err := r.URL.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return "a redirect that does not say where: it has no Location that is a URL"
	}
	kept := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
	switch same := sameOrigin(to, r.URL); {
	case !same:
		return fmt.Sprintf("a redirect to another origin, %s, is not followed: set the url to that if it is to be trusted",
			bare(to))
	case !kept:
		return fmt.Sprintf("a redirect to %s, where a POST would become a GET: set the url to that", bare(to))
	}
	return ""
}

// retryAfter reads the Retry-After header: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

func readHTTPError(r *http.Request, resp *http.Response) *HTTPError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // a description; the status is what counts
	resp.Body.Close()
	return httpError(r, resp, bytes.TrimSpace(body))
}

// op names a request without its query, where session ids and tokens stand.
func op(r *http.Request) string {
	return r.Method + " " + bare(r.URL)
}

// sameOrigin compares scheme, host and port; a default port may be left out.
func sameOrigin(a, b *url.URL) bool {
	if a.Scheme == b.Scheme && a.Host == b.Host {
		return true
	}
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return a.Scheme == b.Scheme && a.Hostname() == b.Hostname() && port(a) == port(b)
}

func bare(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// doError is the cause of a failed http.Client.Do without its URL, whose query may hold a secret.
func doError(r *http.Request, err error) error {
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		err = ue.Err
	}
	if cause := context.Cause(r.Context()); cause != nil && errors.Is(err, r.Context().Err()) &&
		!errors.Is(cause, err) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("%s: %w", op(r), err)
}
