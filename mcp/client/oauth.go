package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/modelcontextprotocol/go-sdk/auth"

	"github.com/openmas/openmas/mcp/client/internal/oauth"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// OAuthCredentials are those of a program that was registered with an authorization server.
type OAuthCredentials struct {
	ID, Secret string
	// Server is the URL of the MCP server, which says where the authorization server is.
	Server string
	// Issuer is the only authorization server that may be asked. Empty: the one that the MCP server
	// names, if it is at a public https address, or where the MCP server itself is.
	Issuer string
	// TLS is for connections to both; nil: the system's trust.
	TLS *tls.Config
}

// OAuthClientCredentials gets tokens by the OAuth 2.0 client credentials grant, without a user. It
// is for sessions to the one server.
func OAuthClientCredentials(c OAuthCredentials) (auth.OAuthHandler, error) {
	h, err := oauth.New(oauth.Config{ID: c.ID, Secret: c.Secret, Server: c.Server, Issuer: c.Issuer, TLS: c.TLS})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// authTransport puts an OAuth handler below both HTTP transports: the SDK has it for streamable
// HTTP only, and lets two requests authorize at once, which its handlers do not survive.
type authTransport struct {
	base    http.RoundTripper
	handler auth.OAuthHandler
	origin  string // a URL of the only server that sees the token

	turn  chan struct{} // holds one token: who has it may use the handler and round
	round int           // counts the authorizations
}

// NewAuthTransport lets h authorize the requests to origin, a URL, that pass through base.
func NewAuthTransport(base http.RoundTripper, h auth.OAuthHandler, origin string) http.RoundTripper {
	return &authTransport{base: base, handler: h, origin: origin, turn: make(chan struct{}, 1)}
}

func (t *authTransport) lock(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("OAuth: wait for a token: %w", context.Cause(ctx))
	}
}

// RoundTrip implements [http.RoundTripper]. A request is sent twice at most: the second time with a
// token that was got for it.
func (t *authTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if o, err := url.Parse(t.origin); err != nil || o.Scheme != r.URL.Scheme || o.Host != r.URL.Host {
		return t.base.RoundTrip(r)
	}
	first, round, err := t.with(r)
	if err != nil {
		return nil, err
	}
	resp, err := t.base.RoundTrip(first)
	if err != nil || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	if r.Body != nil && r.GetBody == nil {
		return resp, nil // it cannot be sent again
	}
	if err := t.authorize(r, resp, round); err != nil {
		return nil, err
	}
	again, _, err := t.with(r)
	if err != nil {
		return nil, err
	}
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return nil, fmt.Errorf("repeat the request with a token: %w", err)
		}
	}
	return t.base.RoundTrip(again)
}

// with is the request with the token that there is, if any.
func (t *authTransport) with(r *http.Request) (*http.Request, int, error) {
	if err := t.lock(r.Context()); err != nil {
		return nil, 0, err
	}
	defer func() { <-t.turn }()
	src, err := t.handler.TokenSource(r.Context())
	if err != nil {
		return nil, 0, fmt.Errorf("OAuth: %w", err)
	}
	if src == nil {
		return r, t.round, nil
	}
	token, err := src.Token()
	if err != nil {
		return r, t.round, nil // it cannot be renewed: the server's answer leads to a new one
	}
	r = r.Clone(r.Context())
	token.SetAuthHeader(r)
	return r, t.round, nil
}

// authorize gets a token, unless somebody else did since the request was sent. A request that is
// given up does not stop it: others need the token too, and what the handler keeps of the context
// renews it later.
func (t *authTransport) authorize(r *http.Request, resp *http.Response, round int) error {
	if err := t.lock(r.Context()); err != nil {
		return errors.Join(err, resp.Body.Close())
	}
	if t.round != round {
		<-t.turn
		// so that the connection can be used again
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, codec.MaxErrorBody))
		return resp.Body.Close()
	}
	done := make(chan error, 1)
	go func() { // ends by the timeouts of the handler's HTTP client
		err := t.handler.Authorize(context.WithoutCancel(r.Context()), r, resp)
		if err == nil {
			t.round++
		}
		<-t.turn
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			return nil
		}
		err = fmt.Errorf("OAuth: %w", err)
		if n, ok := r.Context().Value(noteKey{}).(*note); ok {
			n.noToken.Store(&err)
		}
		return err
	case <-r.Context().Done():
		return fmt.Errorf("OAuth: %w", context.Cause(r.Context()))
	}
}

// CloseIdleConnections is called by [http.Client.CloseIdleConnections].
func (t *authTransport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
