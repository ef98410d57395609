package child

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/openmas/openmas/mcp"
)

// SSEURL is a Spec.Ready for servers that announce SSE_SERVER_URL=http://host:port on their stderr;
// the value is that URL.
//
// It is tolerant: something may stand before it, such as a logger's prefix, and since many servers
// print a backslash and an n where a newline was meant, so that their next line is glued on, the
// URL ends at a backslash as well as at white space. It must be http or https with a host. An
// address that means "all addresses" (0.0.0.0, ::), which is where a server listens, not where one
// connects, becomes the loopback address of its kind.
func SSEURL(line string, complete bool) (string, bool) {
	for rest := range marked(line, mcp.SSEURL) {
		end := strings.IndexFunc(rest, endsURL)
		if end < 0 {
			if !complete {
				continue // the rest of its port may be still to come
			}
			end = len(rest)
		}
		if u, ok := parseURL(rest[:end]); ok {
			return u, true
		}
	}
	return "", false
}

// StdioReady is a Spec.Ready for servers that print STDIO_SERVER_READY on their stderr before they
// read stdin; the value is empty. It is as tolerant as [SSEURL].
func StdioReady(line string, complete bool) (string, bool) {
	for rest := range marked(line, mcp.StdioReady) {
		if rest == "" && complete || rest != "" && !isWord(rest[0]) {
			return "", true
		}
	}
	return "", false
}

// marked yields what follows each marker that is not the end of a longer name. A letter may stand
// before it: a terminal's colour codes end in one.
func marked(line, marker string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for at := 0; ; {
			i := strings.Index(line[at:], marker)
			if i < 0 {
				return
			}
			start := at + i
			at = start + len(marker)
			if (start == 0 || line[start-1] != '_') && !yield(line[at:]) {
				return
			}
		}
	}
}

func isWord(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// endsURL is true for what cannot be part of a URL: white space, control characters, anything
// beyond ASCII, and a few that surround URLs in logs.
func endsURL(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\\\"<>`", r)
}

func parseURL(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", false
	}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return "", false
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.IsUnspecified() {
		host := "127.0.0.1"
		if addr.Is6() {
			host = "::1"
		}
		u.Host = net.JoinHostPort(host, port)
		if port == "" {
			u.Host = strings.TrimSuffix(u.Host, ":")
		}
		return u.String(), true
	}
	return raw, true
}

// readiness is the outcome of Spec.Ready.
type readiness struct {
	match func(line string, complete bool) (string, bool)
	value string        // set before found is closed
	found chan struct{} // closed by the first match
}

// offer is called by the pumps, one at a time.
func (r *readiness) offer(line []byte, complete bool) {
	if r.match == nil {
		return
	}
	select {
	case <-r.found:
		return
	default:
	}
	if value, ok := r.match(string(line), complete); ok {
		r.value = value
		close(r.found)
	}
}
