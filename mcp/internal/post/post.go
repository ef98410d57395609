// Package post sends the small POSTs of MCP to a server of plain HTTP/1.1, each from the goroutine
// that makes it: it writes the request and reads the answer itself. In net/http two goroutines of
// the connection do that, and waking them costs more than all else that a call does. What is
// unusual about a request is left to net/http, see [Client.Takes].
package post

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Client sends POSTs to one server. It may be used concurrently. Close what it keeps with
// CloseIdle.
//
// Nobody reads from an idle connection: whether the server has closed it is seen when it is used
// again.
type Client struct {
	host   string // with the port, as in the URLs of the requests
	addr   string
	dialer net.Dialer
	keep   int           // connections
	idle   time.Duration // how long they are kept

	mu     sync.Mutex
	free   []*conn     // the last used at the end
	closed bool        // by CloseIdle, and no request came since: nothing is kept
	expiry *time.Timer // runs while there are any
}

// New returns a client for the server of u that keeps as many connections as t, and for as long. It
// is nil where net/http must send the requests: over TLS, through a proxy, or where an idle
// connection cannot be looked at.
func New(u *url.URL, t *http.Transport, dialer net.Dialer) *Client {
	if !canPeek || u.Scheme != "http" {
		return nil
	}
	if proxy, err := t.Proxy(&http.Request{URL: u}); proxy != nil || err != nil {
		return nil
	}
	if strings.ContainsFunc(u.Host, func(r rune) bool { return r >= utf8.RuneSelf || r == '%' }) {
		return nil // the name is to be encoded, or the zone of the address left out
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return &Client{host: u.Host, addr: net.JoinHostPort(u.Hostname(), port), dialer: dialer,
		keep: t.MaxIdleConnsPerHost, idle: t.IdleConnTimeout}
}

// Evidence learns whether a request may have reached the server.
type Evidence interface {
	// Claim is called before the first byte is written. Not ok means that the request was withdrawn
	// and must not be sent; own that this is the first claim, which Undo takes back.
	Claim() (own, ok bool)
	// Undo is called with own when nothing of the request was written after all.
	Undo(own bool)
}

// RoundTrip is [http.RoundTripper]'s for a request that the client takes.
func (c *Client) RoundTrip(r *http.Request, e Evidence) (*http.Response, error) {
	ctx := r.Context()
	for {
		cn, used, err := c.take(ctx)
		if err != nil {
			return nil, errors.Join(err, r.Body.Close())
		}
		own, ok := e.Claim()
		if !ok {
			c.put(cn)
			return nil, errors.Join(context.Canceled, r.Body.Close())
		}
		resp, wrote, err := cn.exchange(r)
		if err == nil || wrote {
			return resp, err
		}
		e.Undo(own)
		if !used || ctx.Err() != nil {
			return nil, err
		}
		r = r.WithContext(ctx) // a RoundTripper must not change the request it is given
		if r.Body, err = r.GetBody(); err != nil {
			return nil, fmt.Errorf("send the request again: %w", err)
		}
	}
}

// take returns the connection used last, or a new one.
func (c *Client) take(ctx context.Context) (cn *conn, used bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, context.Cause(ctx)
	}
	for {
		c.mu.Lock()
		c.closed = false
		if n := len(c.free); n > 0 {
			cn, c.free = c.free[n-1], c.free[:n-1]
		}
		c.mu.Unlock()
		if cn == nil {
			break
		}
		// By the clock on the wall: timers stand still while the machine sleeps.
		if time.Now().Round(0).Sub(cn.since) < c.idle && cn.alive() {
			return cn, true, nil
		}
		cn.close()
		cn = nil
	}
	nc, err := c.dialer.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return nil, false, err
	}
	cn, err = newConn(nc, c.put)
	return cn, false, err
}

// put keeps a connection for the next request, if there is room.
func (c *Client) put(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.free) >= c.keep {
		cn.close()
		return
	}
	cn.since = time.Now()
	if len(c.free) == 0 {
		if c.expiry == nil {
			c.expiry = time.AfterFunc(c.idle, c.expire)
		} else {
			c.expiry.Reset(c.idle)
		}
	}
	c.free = append(c.free, cn)
}

// expire closes what was not used for too long.
func (c *Client) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.free) && time.Since(c.free[n].since) >= c.idle {
		c.free[n].close()
		n++
	}
	c.free = append(c.free[:0], c.free[n:]...)
	if len(c.free) > 0 {
		c.expiry.Reset(time.Until(c.free[0].since.Add(c.idle)))
	}
}

// CloseIdle closes the connections that no request uses, and those of the others when they have
// been answered, unless more requests come before.
func (c *Client) CloseIdle() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cn := range c.free {
		cn.close()
	}
	c.free, c.closed = nil, true
	if c.expiry != nil {
		c.expiry.Stop()
	}
}

// Takes reports whether the client can send a request; a nil client takes none.
func (c *Client) Takes(r *http.Request) bool {
	if c == nil || r.Method != http.MethodPost || r.URL.Scheme != "http" || r.URL.Host != c.host || r.GetBody == nil ||
		r.ContentLength <= 0 || r.ContentLength > maxBody {
		return false
	}
	if r.Host != "" && r.Host != c.host || r.URL.Opaque != "" ||
		strings.ContainsFunc(r.URL.RawQuery, notInQuery) {
		return false
	}
	h := r.Header
	return !r.Close && r.Trailer == nil && r.TransferEncoding == nil && h["Expect"] == nil && h["Connection"] == nil &&
		h["Upgrade"] == nil && plainHeader(h)
}
