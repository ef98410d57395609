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
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// directHeader bounds the headers of an answer, in bytes; as net/http's servers bound those of
	// requests.
	directHeader = 1 << 20
	// maxInformational is how many 1xx answers may precede the answer, as in net/http.
	maxInformational = 5
)

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

// exchange sends the request and reads the answer up to its body. After an error the connection is
// closed; wrote says whether the server may have got any of the request.
func (c *directConn) exchange(r *http.Request) (resp *http.Response, wrote bool, err error) {
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
	if err := r.Write(&c.out); err != nil { // nothing of a request is sent that cannot be written whole
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
	b := &directResponse{ReadCloser: resp.Body, c: c, ctx: ctx, release: release, reusable: !resp.Close &&
		resp.ProtoAtLeast(1, 1)}
	if resp.Body == http.NoBody {
		b.finish()
	} else {
		resp.Body = b
	}
	return resp, true, nil
}

// directResponse is the body of an answer. When it was read to its end, the connection serves the
// next request; when it is closed before, so is the connection, which ends a Read under way.
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
