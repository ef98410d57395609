//go:build linux

package main

import (
	"context"
	"io"
	"net"
	"sync"
)

// A proxy is a way to a server that can be cut, and blocked without anybody being told.
type proxy struct {
	addr   string
	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	open  chan struct{} // closed while bytes may pass
	over  bool
}

// proxy leads to the server at the URL until the trial ends, and returns the URL of the way.
func (t *trial) proxy(ctx context.Context, target string) (*proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{addr: l.Addr().String(), target: target, l: l, conns: map[net.Conn]bool{}, open: make(chan struct{})}
	close(p.open)
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.after(p.close)
	return p, nil
}

// serve copies both ways until one side ends.
func (p *proxy) serve(c net.Conn) {
	defer p.drop(c)
	if !p.add(c) {
		return
	}
	p.wait()
	s, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return // as if nobody listened, nearly
	}
	defer p.drop(s)
	if !p.add(s) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(s, c); p.drop(s); p.drop(c) })
	both.Go(func() { p.copy(c, s); p.drop(s); p.drop(c) })
	both.Wait()
}

func (p *proxy) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.wait()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait waits while the way is blocked.
func (p *proxy) wait() {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	<-open
}

func (p *proxy) add(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.conns[c] = true
	}
	return !p.over
}

// drop ends a connection with a reset.
func (p *proxy) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	reset(c)
}

// reset closes a connection as a crashed computer does when it is asked later.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed
	}
	_ = c.Close() // likewise
}

// cut ends all connections. New ones are made as before.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		reset(c)
	}
}

// block lets nothing pass until heal: connections stay, and new ones are accepted. What was sent
// arrives late, as over a network that loses packets for a while.
func (p *proxy) block() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

// heal ends a block.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	_ = p.l.Close() // it was open
	p.heal()
	p.cut()
	p.wg.Wait()
}
