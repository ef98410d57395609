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
	Op         string        // the request: method and URL without its query, which may hold a secret
}

func (e *HTTPError) Error() string {
	s := fmt.Sprintf("%s: %d %s", e.Op, e.Status, http.StatusText(e.Status))
	if e.Body != "" {
		s += ": " + e.Body
	}
	return s
}

// Refused reports whether the status means that the server refused the request before it acted on
// it: 4xx and 503.
func (e *HTTPError) Refused() bool {
	return e.Status >= 400 && e.Status < 500 || e.Status == http.StatusServiceUnavailable
}

// httpError describes an answer of status 400 and above; body may be nil.
func httpError(op string, resp *http.Response, body []byte) *HTTPError {
	return &HTTPError{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now()), Body: clip(body, 512),
		Op: op}
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

func readHTTPError(op string, resp *http.Response) *HTTPError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // a description; the status is what counts
	resp.Body.Close()
	return httpError(op, resp, bytes.TrimSpace(body))
}

// op names a request without its query, where session ids and tokens stand.
func op(r *http.Request) string {
	return r.Method + " " + bare(r.URL)
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
