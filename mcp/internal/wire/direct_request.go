package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// directBody is the largest body, in bytes, of a request that is sent directly: it fits into the
// buffers between the two ends, so a server that answers before it has read it does not keep the
// answer from being read.
const directBody = 64 << 10

// takes reports whether a request can be sent directly.
func (d *direct) takes(r *http.Request) bool {
	if d == nil || r.Method != http.MethodPost || r.URL.Scheme != "http" || r.URL.Host != d.host || r.GetBody == nil ||
		r.ContentLength <= 0 || r.ContentLength > directBody {
		return false
	}
	if r.Host != "" && r.Host != d.host || r.URL.Opaque != "" || !plainValue(r.URL.RawQuery) {
		return false
	}
	h := r.Header
	return !r.Close && r.Trailer == nil && r.TransferEncoding == nil && h["Expect"] == nil && h["Connection"] == nil &&
		h["Upgrade"] == nil && plainHeader(h)
}

// plainHeader reports whether there is nothing in h that net/http would refuse: written as it is,
// that would be left out or become something else.
func plainHeader(h http.Header) bool {
	for k, values := range h {
		for i := range len(k) {
			if c := k[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
		for _, v := range values {
			if !plainValue(v) {
				return false
			}
		}
	}
	return true
}

func plainValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// userAgent is net/http's: some servers tell programs apart by it.
const userAgent = "Go-http-client/1.1"

// notCopied are the header fields that are written from elsewhere.
var notCopied = map[string]bool{"Host": true, "User-Agent": true, "Content-Length": true, "Transfer-Encoding": true,
	"Trailer": true}

// format writes a request that takes has looked at to the buffer, as net/http would, and closes its
// body.
func (c *directConn) format(r *http.Request, body io.ReadCloser) error {
	b := &c.out
	b.Reset()
	b.WriteString("POST ")
	b.WriteString(r.URL.RequestURI())
	b.WriteString(" HTTP/1.1\r\nHost: ")
	b.WriteString(c.d.host)
	agent, own := r.Header["User-Agent"]
	if !own {
		b.WriteString("\r\nUser-Agent: " + userAgent)
	} else if len(agent) > 0 && agent[0] != "" {
		b.WriteString("\r\nUser-Agent: ")
		b.WriteString(agent[0])
	}
	b.WriteString("\r\nContent-Length: ")
	b.Write(strconv.AppendInt(b.AvailableBuffer(), r.ContentLength, 10))
	b.WriteString("\r\n")
	if err := r.Header.WriteSubset(b, notCopied); err != nil {
		return errors.Join(err, body.Close())
	}
	b.WriteString("\r\n")
	b.Grow(int(r.ContentLength) + 1)
	room := b.AvailableBuffer()[:r.ContentLength+1]
	n, err := io.ReadFull(body, room)
	if n != int(r.ContentLength) || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("the body of the request has not the %d bytes that it announces",
			r.ContentLength), err, body.Close())
	}
	b.Write(room[:n])
	return body.Close()
}
