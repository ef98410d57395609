package wire

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// GuardOptions configures a [Guard].
type GuardOptions struct {
	// Hosts are names, without a port, that a request to a loopback address may have in its Host
	// header besides localhost and loopback addresses: those of a reverse proxy on this machine.
	Hosts []string
	// Origins are other web origins whose pages may send requests, like
	// "https://app.example.org:8080".
	Origins []string
}

// Guard refuses the requests of web pages with 403, on every path and for every method: those of a
// page whose host name was made to resolve to this machine (DNS rebinding), and those of another
// origin. Requests of programs, which send no Origin header, pass.
func Guard(next http.Handler, o GuardOptions) (http.Handler, error) {
	cross := http.NewCrossOriginProtection()
	for _, origin := range o.Origins {
		if err := cross.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("origin %q: want scheme://host[:port]: %w", origin, err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hostAllowed(r, o.Hosts) {
			http.Error(w, fmt.Sprintf("forbidden: a server on this machine's loopback address does not serve host %q; "+
				"gateway.hosts adds one", r.Host), http.StatusForbidden)
			return
		}
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		err := cross.Check(r)
		// The standard check lets every GET pass, but here a GET opens a session.
		if origin != "" && (err != nil || !originAllowed(origin, r.Host, o.Origins)) {
			http.Error(w, fmt.Sprintf("forbidden: a page of origin %q; gateway.origins adds one", origin),
				http.StatusForbidden)
			return
		}
		if err != nil {
			http.Error(w, "forbidden: "+err.Error(), http.StatusForbidden)
			return
		}
		// An image or a script of a page is fetched without an Origin.
		if origin == "" && site != "" && site != "same-origin" && site != "none" {
			http.Error(w, "forbidden: a page of another site (Sec-Fetch-Site: "+site+")", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

func hostAllowed(r *http.Request, hosts []string) bool {
	switch local := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		if !local.IP.IsLoopback() {
			return true
		}
	case net.Addr:
		if !loopback(hostname(local.String())) {
			return true
		}
	default:
		return true
	}
	host := hostname(r.Host)
	return loopback(host) || slices.ContainsFunc(hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

func originAllowed(origin, host string, allowed []string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host == host || slices.Contains(allowed, origin)
}

// hostname cuts the port off, and the brackets of an IPv6 address.
func hostname(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}

func loopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
