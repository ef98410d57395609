package mcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
)

// TestStdioKeepsTheContract runs the suite of all communicators over ServeStdio and a Session, as between a runtime and its child, with a TCP connection in
// the place of the pipes, so that it can be held and cut.
func TestStdioKeepsTheContract(t *testing.T) {
	communicatortest.Run(t, communicatortest.Config{New: func(t *testing.T) communicatortest.Setup {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		proxy := communicatortest.NewProxy(t, listener.Addr().String())
		o := ConnectOptions{MaxFrame: 3 << 20}
		l := &lineCommunicator{listener: listener, addr: proxy.Addr, o: o, bound: map[string]*lineBinding{}}
		l.accepting.Go(l.accept)
		return communicatortest.Setup{Communicator: l, Limit: o.withDefaults().inputLimit(Stdio), ResultLimit: 2 << 20, Sever: proxy.Sever, Hold: proxy.Hold}
	}})
}

// lineCommunicator serves each agent to whoever connects and says its name in a first line.
type lineCommunicator struct {
	listener  net.Listener
	addr      string
	o         ConnectOptions
	accepting sync.WaitGroup

	mu     sync.Mutex
	closed bool
	bound  map[string]*lineBinding
	all    []*lineBinding
	peers  []*Session
}

func (l *lineCommunicator) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.accepting.Go(func() {
			defer func() { _ = conn.Close() }()
			r := bufio.NewReader(conn)
			name, err := r.ReadString('\n')
			if err != nil {
				return
			}
			l.mu.Lock()
			b := l.bound[strings.TrimSpace(name)]
			l.mu.Unlock()
			if b != nil {
				defer context.AfterFunc(b.ctx, func() { _ = conn.Close() })()
				_ = ServeStdio(b.ctx, b, r, conn, HostOptions{Logger: quiet, Limits: Limits{MaxFrame: l.o.MaxFrame}}, Identity{Name: "parent", Trusted: true}) // a cut connection is part of the test
			}
		})
	}
}

func (l *lineCommunicator) Serve(_ context.Context, s communicator.Service) (communicator.Binding, error) {
	name := s.Info().Name
	if err := agent.CheckAgentName(name); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.bound[name] != nil {
		return nil, agent.Errorf(agent.CodeUnavailable, "closed, or %s is taken", name)
	}
	b := &lineBinding{Service: s, l: l, name: name}
	b.ctx, b.kill = context.WithCancel(context.Background())
	l.bound[name], l.all = b, append(l.all, b)
	return b, nil
}

func (l *lineCommunicator) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	l.mu.Lock()
	b := l.bound[name]
	l.mu.Unlock()
	if b == nil {
		return nil, agent.Refusedf(agent.CodeNotFound, "no agent %q", name)
	}
	conn, err := net.Dial("tcp", l.addr)
	if err == nil {
		_, err = fmt.Fprintln(conn, name)
	}
	if err != nil {
		return nil, agent.Refusedf(agent.CodeUnavailable, "%w", err)
	}
	s, err := connectPipes(ctx, pipe{conn, struct {
		io.Writer
		io.Closer
	}{conn, io.NopCloser(nil)}}, Target{Name: name, Trusted: true}, l.o)
	if err != nil {
		_ = conn.Close()
		return nil, agent.Refusedf(agent.CodeUnavailable, "%w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peers = append(l.peers, s)
	return s, nil
}

func (l *lineCommunicator) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	var bindings []*lineBinding
	for _, b := range l.bound {
		bindings = append(bindings, b)
	}
	peers := l.peers
	l.mu.Unlock()
	var errs []error
	for _, b := range bindings {
		b.gate.Shut()
	}
	for _, b := range bindings {
		errs = append(errs, b.Close(ctx))
	}
	for _, p := range peers {
		awaitZero(ctx, p.gate.InFlight) // the answers of the last calls are on their way
		errs = append(errs, p.Close(ctx))
	}
	_ = l.listener.Close()
	for _, b := range l.all {
		b.kill()
	}
	l.accepting.Wait()
	return errors.Join(errs...)
}

// lineBinding goes on answering after its end, with refusals: nothing that is written to a pipe is otherwise certain.
type lineBinding struct {
	communicator.Service
	l    *lineCommunicator
	name string
	gate communicator.Gate
	ctx  context.Context
	kill context.CancelFunc
}

func (b *lineBinding) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if !b.gate.Enter() {
		return nil, agent.Refusedf(agent.CodeUnavailable, "the agent is closed")
	}
	defer b.gate.Leave()
	return b.Service.Call(ctx, c)
}

func (b *lineBinding) Close(ctx context.Context) error {
	b.gate.Shut()
	err := b.gate.Wait(ctx)
	b.l.mu.Lock()
	defer b.l.mu.Unlock()
	if b.l.bound[b.name] == b {
		delete(b.l.bound, b.name)
	}
	return err
}
