package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// timeout bounds one request to an authorization server.
const timeout = 15 * time.Second

// A guard is between a [Handler] and the network. A stranger, the MCP server, says where to go, and
// must not lead to what only this machine or its network reaches:
//
//   - the MCP server itself, and the issuer that the project names: whatever they are
//   - all else: https, at public addresses; at addresses of this machine, or of private networks,
//     and over plain http, only where the MCP server itself is at such an address
//
// The address is checked when it is dialled, and so after DNS, and for each redirect. Behind a
// proxy, which is asked with names, only addresses that are written out are.
type guard struct {
	server, issuer *url.URL // no issuer: nil
	open, public   *http.Transport
}

func (g *guard) prepare(trust *tls.Config) {
	over := func(d net.Dialer) *http.Transport {
		// not kept alive: it is used once in a while
		return &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSClientConfig: trust,
			ForceAttemptHTTP2: true, DisableKeepAlives: true, TLSHandshakeTimeout: timeout,
			MaxResponseHeaderBytes: 64 << 10}
	}
	g.open = over(net.Dialer{Timeout: timeout})
	g.public = over(net.Dialer{Timeout: timeout, ControlContext: g.control})
}

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if sameOrigin(r.URL, g.server) || g.issuer != nil && sameOrigin(r.URL, g.issuer) {
		return g.open.RoundTrip(r)
	}
	if r.URL.Scheme != "https" && (g.server.Scheme != "http" || g.place(r.Context()) == public) {
		return nil, fmt.Errorf("%s://%s is not https%s", r.URL.Scheme, r.URL.Host, pin)
	}
	if addr, err := netip.ParseAddr(r.URL.Hostname()); err == nil {
		if err := g.allowed(r.Context(), addr); err != nil {
			return nil, err
		}
	}
	if proxy, err := http.ProxyFromEnvironment(r); err == nil && proxy != nil {
		return g.open.RoundTrip(r)
	}
	return g.public.RoundTrip(r)
}

// redirect is the CheckRedirect of the client. Documents of the MCP server come from there only,
// and no secret goes where it was not sent.
func (g *guard) redirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) >= 5:
		return errors.New("more than 5 redirects")
	case sameOrigin(r.URL, first.URL):
		return nil
	case first.Method != http.MethodGet || sameOrigin(first.URL, g.server):
		return fmt.Errorf("it redirects to another origin, %s://%s: that is not followed", r.URL.Scheme, r.URL.Host)
	}
	return nil
}

// control is that of a [net.Dialer].
func (g *guard) control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return g.allowed(ctx, at.Addr())
}

const pin = ": oauth.issuer may name such a place"

// allowed says why an address must not be asked; nil: it may.
func (g *guard) allowed(ctx context.Context, addr netip.Addr) error {
	at := placeOf(addr)
	if at == public || at != nowhere && at == g.place(ctx) {
		return nil
	}
	return fmt.Errorf("%s is %s, and the MCP server is elsewhere%s", addr, at, pin)
}

// A place says who reaches an address.
type place string

const (
	public  place = "a public address"
	private place = "an address of a private network"
	local   place = "an address of this machine"
	nowhere place = "no address of a server"
)

// place is where the MCP server is. Only a name that says so is on this machine: others can change
// where theirs leads.
func (g *guard) place(ctx context.Context) place {
	host := strings.TrimSuffix(strings.ToLower(g.server.Hostname()), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return placeOf(addr)
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return local
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return public
	}
	for _, addr := range addrs {
		if placeOf(addr) != private {
			return public
		}
	}
	return private
}

// Networks that are not public, besides those that package netip knows.
var (
	privates = prefixes("100.64.0.0/10", "198.18.0.0/15")
	nowheres = prefixes("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001:db8::/32", "2002::/16",
		"fec0::/10")
)

func prefixes(all ...string) (out []netip.Prefix) {
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func placeOf(addr netip.Addr) place {
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.IsLoopback():
		return local
	case addr.IsPrivate(), within(privates, addr):
		return private
	case !addr.IsGlobalUnicast(), within(nowheres, addr): // link-local too, where clouds keep their secrets
		return nowhere
	}
	return public
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// absolute is an http or https URL with a host.
func absolute(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is no URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no http:// or https:// URL", u.Redacted())
	}
	return u, nil
}

// sameOrigin reports whether two URLs have one scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
