package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
)

const (
	// directBody is the largest body, in bytes, of a request that is sent directly: it fits into the buffers between the two ends, so a server that answers before it
	// has read it does not keep the answer from being read.
	directBody = 64 << 10
	// directHeader bounds the headers of an answer, in bytes; as net/http's servers bound those of requests.
	directHeader = 1 << 20
	// maxInformational is how many 1xx answers may precede the answer, as in net/http.
	maxInformational = 5
)

// direct sends the POSTs of MCP to one server of plain HTTP/1.1, each from the goroutine that makes it: it writes the request and reads the answer itself. In
// net/http two goroutines of the connection do that, and waking them costs more than all else that a call does. What is unusual about a request is left to net/http.
//
// Nobody reads from an idle connection; whether the server has closed it is seen when it is used again.
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
	return &direct{host: u.Host, addr: net.JoinHostPort(u.Hostname(), port), dialer: dialer, keep: t.MaxIdleConnsPerHost, idle: t.IdleConnTimeout}
}

// takes reports whether a request can be sent directly.
func (d *direct) takes(r *http.Request) bool {
	if d == nil || r.Method != http.MethodPost || r.URL.Scheme != "http" || r.URL.Host != d.host || r.GetBody == nil || r.ContentLength <= 0 || r.ContentLength > directBody {
		return false
	}
	if r.Host != "" && r.Host != d.host || r.URL.Opaque != "" || !plainValue(r.URL.RawQuery) {
		return false
	}
	h := r.Header
	return !r.Close && r.Trailer == nil && r.TransferEncoding == nil && h["Expect"] == nil && h["Connection"] == nil && h["Upgrade"] == nil && plainHeader(h)
}

// plainHeader reports whether there is nothing in h that net/http would refuse: written as it is, that would be left out or become something else.
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

// roundTrip is RoundTrip for a request that it takes. t is told before the first byte is written.
func (d *direct) roundTrip(r *http.Request, t *Trace) (*http.Response, error) {
	ctx, body := r.Context(), r.Body
	for {
		c, used, err := d.conn(ctx)
		if err != nil {
			return nil, errors.Join(err, body.Close())
		}
		own, ok := t.claim()
		if !ok {
			d.put(c)
			return nil, errors.Join(context.Canceled, body.Close())
		}
		resp, wrote, err := c.exchange(r, body)
		if err == nil || wrote {
			return resp, err
		}
		t.undo(own)
		if !used || ctx.Err() != nil {
			return nil, err
		}
		if body, err = r.GetBody(); err != nil {
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

// closeIdle closes the connections that no request uses, and those of the others when they have been answered, unless more requests come before.
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

// directConn is a connection, used by one request at a time.
type directConn struct {
	d     *direct
	nc    net.Conn
	in    *bufio.Reader
	room  int64 // bytes that may still be read
	out   bytes.Buffer
	since time.Time // idle
	cut   func()    // ends what is being read or written

	raw    syscall.RawConn
	peek   func(fd uintptr) bool
	silent bool // what peek found: open, and nothing to read
}

func newDirectConn(d *direct, nc net.Conn) (*directConn, error) {
	c := &directConn{d: d, nc: nc, cut: func() { _ = nc.SetDeadline(longAgo) }} // fails when it is closed
	c.in = bufio.NewReader(c)
	c.peek = func(fd uintptr) bool {
		c.silent = nothingToRead(fd)
		return true
	}
	var err error
	if c.raw, err = nc.(*net.TCPConn).SyscallConn(); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return c, nil
}

func (c *directConn) close() { _ = c.nc.Close() } // nobody waits for what it says

// alive reports whether the server keeps an idle connection open, and has said nothing on it.
func (c *directConn) alive() bool {
	return c.raw.Read(c.peek) == nil && c.silent
}

var errHeaders = fmt.Errorf("the headers of the answer exceed %d bytes", directHeader)

// Read is what the buffer reads from.
func (c *directConn) Read(p []byte) (int, error) {
	if c.room <= 0 {
		return 0, errHeaders
	}
	n, err := c.nc.Read(p[:min(int64(len(p)), c.room)])
	c.room -= int64(n)
	return n, err
}

// long ago, as a deadline.
var longAgo = time.Unix(1, 0)

// exchange sends the request and reads the answer up to its body. After an error the connection is closed; wrote says whether the server may have got any of the
// request.
func (c *directConn) exchange(r *http.Request, body io.ReadCloser) (resp *http.Response, wrote bool, err error) {
	ctx := r.Context()
	release := context.AfterFunc(ctx, c.cut)
	defer func() {
		if err == nil {
			return
		}
		release()
		c.close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	if err := c.format(r, body); err != nil {
		return nil, false, err
	}
	n, err := c.nc.Write(c.out.Bytes())
	if err != nil {
		return nil, n > 0, err
	}
	c.room = directHeader
	for tries := 0; ; tries++ {
		resp, err = http.ReadResponse(c.in, r)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = fmt.Errorf("the server closed the connection before it had answered: %w", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, true, err
		}
		if resp.StatusCode >= 200 {
			break
		}
		if resp.StatusCode == http.StatusSwitchingProtocols || tries >= maxInformational {
			return nil, true, fmt.Errorf("the server answered %s", resp.Status)
		}
	}
	c.room = math.MaxInt64
	b := &directResponse{ReadCloser: resp.Body, c: c, ctx: ctx, release: release, reusable: !resp.Close && resp.ProtoAtLeast(1, 1)}
	if resp.Body == http.NoBody {
		b.finish()
	} else {
		resp.Body = b
	}
	return resp, true, nil
}

// userAgent is net/http's: some servers tell programs apart by it.
const userAgent = "Go-http-client/1.1"

// notCopied are the header fields that are written from elsewhere.
var notCopied = map[string]bool{"Host": true, "User-Agent": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true}

// format writes a request that takes has looked at to the buffer, as net/http would, and closes its body.
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
		return errors.Join(fmt.Errorf("the body of the request has not the %d bytes that it announces", r.ContentLength), err, body.Close())
	}
	b.Write(room[:n])
	return body.Close()
}

// directResponse is the body of an answer. When it was read to its end, the connection serves the next request; when it is closed before, so is the connection, which
// ends a Read under way.
type directResponse struct {
	io.ReadCloser
	c        *directConn
	ctx      context.Context
	release  func() bool
	reusable bool
	state    atomic.Int32
}

const (
	directOpen int32 = iota
	directRead       // to its end
	directClosed
)

func (b *directResponse) Read(p []byte) (int, error) {
	switch b.state.Load() {
	case directRead:
		return 0, io.EOF
	case directClosed:
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err == io.EOF: //nolint:errorlint // what wraps it is no end
		b.finish()
	case b.ctx.Err() != nil:
		err = context.Cause(b.ctx)
	}
	return n, err
}

func (b *directResponse) finish() {
	if !b.state.CompareAndSwap(directOpen, directRead) {
		return
	}
	if b.release() && b.reusable && b.c.in.Buffered() == 0 {
		b.c.d.put(b.c)
	} else {
		b.c.close()
	}
}

// Close implements [io.Closer]. It does not read what is left, which may be endless.
func (b *directResponse) Close() error {
	if b.state.CompareAndSwap(directOpen, directClosed) {
		b.release()
		b.c.close()
	}
	return nil
}
