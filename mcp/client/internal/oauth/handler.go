// Package oauth gets tokens by the OAuth 2.0 client credentials grant, from the authorization
// server that an MCP server names. What the MCP server names is not believed blindly: see [guard].
package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// A Config is what a [Handler] works with.
type Config struct {
	ID, Secret string
	Server     string      // the URL of the MCP server
	Issuer     string      // the only authorization server to ask; empty: the one that the MCP server names
	TLS        *tls.Config // nil: the system's trust
}

// A Handler gets tokens. It is the SDK's auth.OAuthHandler; one call at a time.
type Handler struct {
	finder
	cfg     Config
	source  oauth2.TokenSource
	granted map[string][]string // scopes, by issuer
}

// New makes a handler for one MCP server.
func New(c Config) (*Handler, error) {
	if c.ID == "" || c.Secret == "" {
		return nil, errors.New("OAuth client credentials: they are a client's id and its secret")
	}
	server, err := absolute(c.Server)
	if err != nil {
		return nil, fmt.Errorf("OAuth client credentials: the URL of the MCP server: %w", err)
	}
	g := &guard{server: server}
	if c.Issuer != "" {
		if g.issuer, err = absolute(c.Issuer); err != nil {
			return nil, fmt.Errorf("OAuth client credentials: the issuer: %w", err)
		}
	}
	g.prepare(c.TLS)
	f := finder{&http.Client{Transport: g, CheckRedirect: g.redirect, Timeout: timeout}, server}
	return &Handler{finder: f, cfg: c, granted: map[string][]string{}}, nil
}

// TokenSource is nil before the first token.
func (h *Handler) TokenSource(context.Context) (oauth2.TokenSource, error) { return h.source, nil }

// Authorize gets a token after an answer of 401 or 403, whose body it closes.
func (h *Handler) Authorize(ctx context.Context, _ *http.Request, resp *http.Response) error {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxMetadata)) // so that the connection can be used again
	_ = resp.Body.Close()                                              // what it says is in its headers
	challenges, err := oauthex.ParseWWWAuthenticate(resp.Header.Values("Www-Authenticate"))
	if err != nil {
		return fmt.Errorf("the header WWW-Authenticate of the MCP server: %w", err)
	}
	resource, missing, err := h.resource(ctx, named(challenges, "resource_metadata"))
	if err != nil {
		return err
	}
	issuer, err := h.issuer(resource)
	if err != nil {
		return err
	}
	meta, err := h.metadata(ctx, issuer)
	if err != nil {
		return errors.Join(fmt.Errorf("the authorization server %s: %w", issuer, err), missing)
	}
	scopes := strings.Fields(named(challenges, "scope"))
	if len(scopes) == 0 {
		scopes = resource.ScopesSupported
	}
	scopes = union(h.granted[issuer], scopes) // one that was granted before is still needed
	cfg := clientcredentials.Config{ClientID: h.cfg.ID, ClientSecret: h.cfg.Secret, TokenURL: meta.TokenEndpoint,
		Scopes: scopes, AuthStyle: style(meta.TokenEndpointAuthMethodsSupported)}
	source := cfg.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, h.client))
	token, err := source.Token()
	if err != nil {
		return errors.Join(fmt.Errorf("the authorization server %s gives no token: %w", issuer, refusal(err)), missing)
	}
	h.source = source
	if told, ok := token.Extra("scope").(string); ok {
		scopes = strings.Fields(told)
	}
	h.granted[issuer] = scopes
	return nil
}

// refusal is why there is no token, in one line.
func refusal(err error) error {
	var e *oauth2.RetrieveError
	if !errors.As(err, &e) {
		return err
	}
	text := e.ErrorCode + " " + e.ErrorDescription
	if e.ErrorCode == "" && !strings.HasPrefix(strings.TrimSpace(string(e.Body)), "<") { // no web page
		text = strings.ToValidUTF8(string(e.Body[:min(len(e.Body), 200)]), "")
	}
	text = strings.Join(strings.Fields(text), " ")
	if e.Response == nil {
		return errors.New(text)
	}
	return errors.New(strings.TrimSpace("it answers " + e.Response.Status + " " + text))
}

// issuer is the authorization server to ask.
func (h *Handler) issuer(resource *oauthex.ProtectedResourceMetadata) (string, error) {
	servers := resource.AuthorizationServers
	if h.cfg.Issuer == "" {
		if len(servers) == 0 { // as in protocol 2025-03-26
			return (&url.URL{Scheme: h.server.Scheme, Host: h.server.Host}).String(), nil
		}
		return servers[0], nil
	}
	if len(servers) > 0 && !slices.ContainsFunc(servers, func(s string) bool { return sameIssuer(s, h.cfg.Issuer) }) {
		return "", fmt.Errorf("the MCP server names the authorization server %s, and not %s, which oauth.issuer does",
			strings.Join(servers, ", "), h.cfg.Issuer)
	}
	return h.cfg.Issuer, nil
}

// named is a parameter of the challenges; empty: none has it.
func named(challenges []oauthex.Challenge, param string) string {
	for _, c := range challenges {
		if v := c.Params[param]; v != "" && c.Scheme == "bearer" {
			return v
		}
	}
	return ""
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// style is how the client says who it is, of what the authorization server takes.
func style(methods []string) oauth2.AuthStyle {
	switch {
	case slices.Contains(methods, "client_secret_post"):
		return oauth2.AuthStyleInParams
	case slices.Contains(methods, "client_secret_basic"):
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleAutoDetect
}
