package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxBody is the largest body, in bytes, of a request that a client takes: it fits into the
// buffers between the two ends, so a server that answers before it has read it does not keep the
// answer from being read.
const maxBody = 64 << 10

// plainHeader reports whether there is nothing in h that net/http would refuse: written as it is,
// that would be left out or become something else.
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

func notInQuery(c rune) bool { return c <= ' ' || c == 0x7f }

func notInValue(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// userAgent is that of net/http: some servers distinguish programs by it.
const userAgent = "Go-http-client/1.1"

// notCopied are the header fields that are written from elsewhere.
var notCopied = map[string]bool{"Host": true, "User-Agent": true, "Content-Length": true, "Transfer-Encoding": true,
	"Trailer": true}

// appendRequest writes a request that Takes has looked at to b, and closes its body. The bytes are
// those of [http.Request.Write], which allocates eight times for them.
func appendRequest(b *bytes.Buffer, r *http.Request) error {
	b.WriteString("POST ")
	b.WriteString(r.URL.RequestURI())
	b.WriteString(" HTTP/1.1\r\nHost: ")
	b.WriteString(r.URL.Host)
	agent := userAgent
	if own, ok := r.Header["User-Agent"]; ok {
		agent = strings.TrimSpace(strings.Join(own[:min(len(own), 1)], ""))
	}
	if agent != "" {
		b.WriteString("\r\nUser-Agent: ")
		b.WriteString(agent)
	}
	b.WriteString("\r\nContent-Length: ")
	b.Write(strconv.AppendInt(b.AvailableBuffer(), r.ContentLength, 10))
	b.WriteString("\r\n")
	err := r.Header.WriteSubset(b, notCopied)
	b.WriteString("\r\n")
	n, bad := b.ReadFrom(r.Body)
	if n != r.ContentLength && bad == nil {
		bad = fmt.Errorf("a request announces %d bytes and has %d", r.ContentLength, n)
	}
	return errors.Join(err, bad, r.Body.Close())
}

// Template returns what the POSTs to u with the header h have in common. They are made of it with
// [NewRequest].
func Template(u *url.URL, h http.Header) *http.Request {
	return &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h}
}

// NewRequest returns a POST of body, which must not change while it is sent. It costs less than
// that of net/http, and shares the header of the template.
func NewRequest(ctx context.Context, template *http.Request, body []byte) *http.Request {
	r := template.WithContext(ctx)
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody() // never fails
	return r
}
