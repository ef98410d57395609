package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openmas/openmas/mcp/internal/wire"
)

func TestRoundTripperBounds(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.Copy(w, r.Body)
	}))
	defer srv.Close()
	rt := newRoundTripper(http.DefaultTransport, true, Options{MaxBody: 200, MaxFrame: 100})
	post := func(n int) (int, error) {
		resp, err := (&http.Client{Transport: rt}).Post(srv.URL, "application/json",
			strings.NewReader(strings.Repeat("x", n)))
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return len(b), err
	}
	if n, err := post(100); n != 100 || err != nil {
		t.Errorf("100 bytes: %d, %v", n, err)
	}
	var large *wire.TooLargeError
	if _, err := post(101); !errors.As(err, &large) || !large.Inbound {
		t.Errorf("an answer over the limit: %v", err)
	}
	var unsent *wire.NotSentError
	if _, err := post(201); !errors.As(err, &unsent) || !errors.As(err, &large) || large.Inbound || large.Size != 201 {
		t.Errorf("a message over the limit: %v", err)
	}
	rt.abort()
	if _, err := post(1); err == nil {
		t.Error("a request on a severed connection")
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}
