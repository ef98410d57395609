package post

import (
	"net/http"
	"strings"
)

// maxBody is the largest body, in bytes, of a request that a client takes: it fits into the
// buffers between the two ends, so a server that answers before it has read it does not keep the
// answer from being read.
const maxBody = 64 << 10

// Takes reports whether the client can send a request; a nil client takes none.
func (c *Client) Takes(r *http.Request) bool {
	if c == nil || r.Method != http.MethodPost || r.URL.Scheme != "http" || r.URL.Host != c.host || r.GetBody == nil ||
		r.ContentLength <= 0 || r.ContentLength > maxBody {
		return false
	}
	if r.Host != "" && r.Host != c.host || r.URL.Opaque != "" {
		return false
	}
	h := r.Header
	return !r.Close && r.Trailer == nil && r.TransferEncoding == nil && h["Expect"] == nil && h["Connection"] == nil &&
		h["Upgrade"] == nil && plainHeader(h)
}

// plainHeader reports whether there is nothing in h that net/http's transport would refuse:
// [http.Request.Write] leaves that out or makes it something else.
func plainHeader(h http.Header) bool {
	for k, values := range h {
		if k == "" || strings.ContainsFunc(k, notInName) {
			return false
		}
		for _, v := range values {
			if strings.ContainsFunc(v, notInValue) {
				return false
			}
		}
	}
	return true
}

func notInName(c rune) bool {
	return (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
}

func notInValue(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
