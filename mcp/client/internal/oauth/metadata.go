package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// maxMetadata bounds a document of metadata.
const maxMetadata = 1 << 20

// A finder asks for metadata: of the MCP server about its authorization servers, and of these about
// themselves.
type finder struct {
	client *http.Client
	server *url.URL // the MCP server
}

// statusError is an answer that is no success.
type statusError struct {
	url    string
	status int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.url, e.status, http.StatusText(e.status))
}

// get reads a document of metadata.
func (f *finder) get(ctx context.Context, at string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // it says more than what was asked
		}
		return fmt.Errorf("%s: %w", at, err)
	}
	defer resp.Body.Close() // whatever it could say, the reading did
	if resp.StatusCode != http.StatusOK {
		return &statusError{at, resp.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", at, err)
	case len(body) > maxMetadata:
		return fmt.Errorf("%s: it has more than %d bytes", at, maxMetadata)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: it is no metadata: %w", at, err)
	}
	return nil
}

// resource is what the MCP server says about itself (RFC 9728), at the address that it named or
// where such documents are. It comes from its own origin only. Without one it is empty, and missing
// says what was tried.
func (f *finder) resource(ctx context.Context, at string) (_ *oauthex.ProtectedResourceMetadata, missing,
	err error) {
	root := *f.server
	root.User, root.RawPath, root.RawQuery, root.Fragment = nil, "", "", ""
	root.Path = "/.well-known/oauth-protected-resource"
	var places []string
	if at != "" {
		named, err := f.server.Parse(at)
		if err != nil || !sameOrigin(named, f.server) {
			return nil, nil, fmt.Errorf("the MCP server says that its resource metadata is at %s, which is not its "+
				"own origin, %s://%s: it is not asked there", at, f.server.Scheme, f.server.Host)
		}
		places = append(places, named.String())
	}
	if path := strings.Trim(f.server.Path, "/"); path != "" {
		below := root
		below.Path += "/" + path
		places = append(places, below.String())
	}
	var tried []error
	for _, place := range append(places, root.String()) {
		var meta oauthex.ProtectedResourceMetadata
		if err := f.get(ctx, place, &meta); err != nil {
			tried = append(tried, err)
			continue
		}
		about, err := url.Parse(meta.Resource)
		switch {
		case err != nil || !sameOrigin(about, f.server):
			tried = append(tried, fmt.Errorf("%s: it is about the resource %q, and not about this server", place,
				meta.Resource))
		case len(meta.AuthorizationServers) == 0:
			return nil, nil, fmt.Errorf("%s: it names no authorization server", place)
		default:
			return &meta, nil, nil
		}
	}
	return &oauthex.ProtectedResourceMetadata{}, fmt.Errorf("the MCP server has no resource metadata: %w",
		errors.Join(tried...)), nil
}

// metadata is what an authorization server says about itself (RFC 8414, or OpenID Connect). One
// that says nothing has the token endpoint of protocol 2025-03-26.
func (f *finder) metadata(ctx context.Context, issuer string) (*oauthex.AuthServerMeta, error) {
	base, err := absolute(issuer)
	if err != nil {
		return nil, err
	}
	for _, place := range wellKnown(*base) {
		var meta oauthex.AuthServerMeta
		err := f.get(ctx, place, &meta)
		if no := (*statusError)(nil); errors.As(err, &no) && no.status >= 400 && no.status < 500 {
			continue
		}
		switch {
		case err != nil:
			return nil, err
		case !sameIssuer(meta.Issuer, issuer):
			return nil, fmt.Errorf("%s: it is about the issuer %q", place, meta.Issuer)
		}
		if _, err := absolute(meta.TokenEndpoint); err != nil {
			return nil, fmt.Errorf("%s: its token_endpoint: %w", place, err)
		}
		return &meta, nil
	}
	return &oauthex.AuthServerMeta{Issuer: issuer, TokenEndpoint: strings.TrimSuffix(issuer, "/") + "/token"}, nil
}

// wellKnown is where an issuer may have its metadata.
func wellKnown(issuer url.URL) []string {
	const oauth, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	path := strings.Trim(issuer.Path, "/")
	at := func(p string) string {
		issuer.Path = p
		return issuer.String()
	}
	if path == "" {
		return []string{at(oauth), at(openID)}
	}
	return []string{at(oauth + "/" + path), at(openID + "/" + path), at("/" + path + openID)}
}

func sameIssuer(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }
