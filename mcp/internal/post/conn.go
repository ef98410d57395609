package post

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
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxHeader bounds the headers of an answer, in bytes; as net/http's servers bound those of
	// requests.
	maxHeader = 1 << 20
	// maxInformational is how many 1xx answers may precede the answer, as in net/http.
	maxInformational = 5
)

// conn is a connection, used by one request at a time.
type conn struct {
	nc    net.Conn
	keep  func(*conn) // for the next request
	in    *bufio.Reader
	room  int64 // bytes that may still be read
	out   bytes.Buffer
	since time.Time // idle
	cut   func()    // ends what is being read or written

	raw    syscall.RawConn
	peek   func(fd uintptr) bool
	silent bool // the result of peek: open, and nothing to read
}

func newConn(nc net.Conn, keep func(*conn)) (*conn, error) {
	c := &conn{nc: nc, keep: keep, cut: func() { _ = nc.SetDeadline(longAgo) }} // fails when it is closed
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

func (c *conn) close() { _ = c.nc.Close() } // its error changes nothing

// alive reports whether the server keeps an idle connection open, and has sent nothing on it.
func (c *conn) alive() bool {
	return c.raw.Read(c.peek) == nil && c.silent
}

var errHeaders = fmt.Errorf("the headers of the answer exceed %d bytes", maxHeader)

// Read is what the buffer reads from.
func (c *conn) Read(p []byte) (int, error) {
	if c.room <= 0 {
		return 0, errHeaders
	}
	n, err := c.nc.Read(p[:min(int64(len(p)), c.room)])
	c.room -= int64(n)
	return n, err
}

// long ago, as a deadline.
var longAgo = time.Unix(1, 0)

// exchange sends the request and reads the answer up to its body. After an error the connection is
// closed; wrote reports whether a byte of the request may have reached the server.
func (c *conn) exchange(r *http.Request) (resp *http.Response, wrote bool, err error) {
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
	c.out.Reset()
	if err := appendRequest(&c.out, r); err != nil { // nothing of a request is sent that cannot be written whole
		return nil, false, err
	}
	n, err := c.nc.Write(c.out.Bytes())
	if err != nil {
		return nil, n > 0, err
	}
	c.room = maxHeader
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
	b := &body{ReadCloser: resp.Body, c: c, ctx: ctx, release: release, reusable: !resp.Close &&
		resp.ProtoAtLeast(1, 1)}
	if resp.Body == http.NoBody {
		b.finish()
	} else {
		resp.Body = b
	}
	return resp, true, nil
}

// body is the body of an answer. When it was read to its end, the connection serves the
// next request; when it is closed before, so is the connection, which ends a Read under way.
type body struct {
	io.ReadCloser
	c        *conn
	ctx      context.Context
	release  func() bool
	reusable bool
	state    atomic.Int32
}

const (
	bodyOpen int32 = iota
	bodyRead       // to its end
	bodyClosed
)

func (b *body) Read(p []byte) (int, error) {
	switch b.state.Load() {
	case bodyRead:
		return 0, io.EOF
	case bodyClosed:
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

func (b *body) finish() {
	if !b.state.CompareAndSwap(bodyOpen, bodyRead) {
		return
	}
	if b.release() && b.reusable && b.c.in.Buffered() == 0 {
		b.c.keep(b.c)
	} else {
		b.c.close()
	}
}

// Close implements [io.Closer]. It does not read what is left, which may be endless.
func (b *body) Close() error {
	if b.state.CompareAndSwap(bodyOpen, bodyClosed) {
		b.release()
		b.c.close()
	}
	return nil
}
