package wire

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

// direct sends the POSTs of MCP to one server of plain HTTP/1.1, each from the goroutine that makes
// it: it writes the request and reads the answer itself. In net/http two goroutines of the
// connection do that, and waking them costs more than all else that a call does. What is unusual
// about a request is left to net/http.
//
// Nobody reads from an idle connection; whether the server has closed it is seen when it is used
// again.
type direct struct {
	host   string // with the port, as in the URLs of the requests
	addr   string
	dialer net.Dialer
	keep   int           // connections
	idle   time.Duration // how long they are kept

	mu     sync.Mutex
	free   []*directConn // the last used at the end
	closed bool          // by closeIdle, and no request came since: nothing is kept
	expiry *time.Timer   // runs while there are any
}

// newDirect returns nil where requests to u cannot be sent directly.
func newDirect(u *url.URL, t *http.Transport, dialer net.Dialer) *direct {
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
	return &direct{host: u.Host, addr: net.JoinHostPort(u.Hostname(), port), dialer: dialer,
		keep: t.MaxIdleConnsPerHost, idle: t.IdleConnTimeout}
}

// roundTrip is RoundTrip for a request that it takes. t is told before the first byte is written.
func (d *direct) roundTrip(r *http.Request, t *Trace) (*http.Response, error) {
	ctx := r.Context()
	for {
		c, used, err := d.conn(ctx)
		if err != nil {
			return nil, errors.Join(err, r.Body.Close())
		}
		own, ok := t.claim()
		if !ok {
			d.put(c)
			return nil, errors.Join(context.Canceled, r.Body.Close())
		}
		resp, wrote, err := c.exchange(r)
		if err == nil || wrote {
			return resp, err
		}
		t.undo(own)
		if !used || ctx.Err() != nil {
			return nil, err
		}
		r = r.WithContext(ctx) // a RoundTripper must not change the request it is given
		if r.Body, err = r.GetBody(); err != nil {
			return nil, fmt.Errorf("send the request again: %w", err)
		}
	}
}

// conn takes the connection used last, or makes one.
func (d *direct) conn(ctx context.Context) (c *directConn, used bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, context.Cause(ctx)
	}
	for {
		d.mu.Lock()
		d.closed = false
		if n := len(d.free); n > 0 {
			c, d.free = d.free[n-1], d.free[:n-1]
		}
		d.mu.Unlock()
		if c == nil {
			break
		}
		// By the clock on the wall: timers stand still while the machine sleeps.
		if time.Now().Round(0).Sub(c.since) < d.idle && c.alive() {
			return c, true, nil
		}
		c.close()
		c = nil
	}
	nc, err := d.dialer.DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, false, err
	}
	c, err = newDirectConn(d, nc)
	return c, false, err
}

// put keeps a connection for the next request, if there is room.
func (d *direct) put(c *directConn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.free) >= d.keep {
		c.close()
		return
	}
	c.since = time.Now()
	if len(d.free) == 0 {
		if d.expiry == nil {
			d.expiry = time.AfterFunc(d.idle, d.expire)
		} else {
			d.expiry.Reset(d.idle)
		}
	}
	d.free = append(d.free, c)
}

// expire closes what was not used for too long.
func (d *direct) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(d.free) && time.Since(d.free[n].since) >= d.idle {
		d.free[n].close()
		n++
	}
	d.free = append(d.free[:0], d.free[n:]...)
	if len(d.free) > 0 {
		d.expiry.Reset(time.Until(d.free[0].since.Add(d.idle)))
	}
}

// closeIdle closes the connections that no request uses, and those of the others when they have
// been answered, unless more requests come before.
func (d *direct) closeIdle() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.free {
		c.close()
	}
	d.free, d.closed = nil, true
	if d.expiry != nil {
		d.expiry.Stop()
	}
}
