package communicatortest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a TCP connection, or many, that a test can hold and cut: dial its Addr instead of the
// real address.
//
//	p := communicatortest.NewProxy(t, listener.Addr().String())
//	Setup{..., Sever: p.Sever, Hold: p.Hold}
type Proxy struct {
	// Addr is the host and port to dial, on loopback.
	Addr string

	target   string
	mu       sync.Mutex
	pairs    map[*pair]struct{}
	holds    [2]chan struct{} // by Direction; nil: flowing. Closed when the first bytes are held.
	notified [2]bool
	closed   bool
}

// pair is one connection through the proxy: the caller's side and the callee's side.
type pair struct {
	caller, callee net.Conn
	gone           chan struct{}
	cut            func()
}

// NewProxy listens on a free loopback port and connects everything to target, until the test ends.
func NewProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, pairs: map[*pair]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // nothing is written to a listener
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Sever()
		wg.Wait()
	})
	return p
}

// Sever resets every connection and ends every Hold.
func (p *Proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds, p.notified = [2]chan struct{}{}, [2]bool{}
	for pr := range p.pairs {
		pr.cut()
	}
}

// Hold keeps back what flows in that direction, on all connections, until Sever.
func (p *Proxy) Hold(d Direction) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds[d] == nil {
		p.holds[d] = make(chan struct{})
	}
	return p.holds[d]
}

// held reports whether what flows in that direction is to be held back, and closes the channel of
// Hold at the first bytes. The end of an idle connection is not among those.
func (p *Proxy) held(d Direction, bytes bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holds[d] != nil && bytes && !p.notified[d] {
		p.notified[d] = true
		close(p.holds[d])
	}
	return p.holds[d] != nil
}

func (p *Proxy) serve(caller net.Conn) {
	callee, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = caller.Close() // the caller sees that nobody is there
		return
	}
	pr := &pair{caller: caller, callee: callee, gone: make(chan struct{})}
	pr.cut = sync.OnceFunc(func() {
		close(pr.gone)
		for _, c := range []net.Conn{caller, callee} {
			_ = c.(*net.TCPConn).SetLinger(0) // a reset, not a goodbye
			_ = c.Close()
		}
	})
	p.mu.Lock()
	p.pairs[pr] = struct{}{}
	if p.closed {
		pr.cut()
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { p.copy(pr, callee, caller, ToCallee) })
	wg.Go(func() { p.copy(pr, caller, callee, ToCaller) })
	wg.Wait()
	pr.cut()
	p.mu.Lock()
	delete(p.pairs, pr)
	p.mu.Unlock()
}

func (p *Proxy) copy(pr *pair, dst, src net.Conn, d Direction) {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if p.held(d, true) {
				<-pr.gone
				return
			}
			if _, err := dst.Write(buf[:n]); err != nil {
				pr.cut()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			if p.held(d, false) {
				<-pr.gone
				return
			}
			_ = dst.(*net.TCPConn).CloseWrite() // the other direction may go on
			return
		}
		if err != nil {
			pr.cut()
			return
		}
	}
}
