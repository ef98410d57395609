package difftest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// relayVariable makes the test binary a program that passes its stdin and stdout on to an address.
const relayVariable = "DIFFTEST_RELAY"

// relay is that program. It ends with either side.
func relay(address string) int {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(os.Stdout, conn) // how it ends is seen at its ends
	return 0
}

// stdio is stdio as a communicator: each session is a program that relays to an agent in this
// process, whose name is the first line.
type stdio struct {
	to       func() string // the address
	o        client.Options
	host     server.Options
	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	serving  sync.WaitGroup
	served   calls.Served[*calls.Binding]

	mu       sync.Mutex
	sessions map[*client.Session]bool
}

func (s *stdio) Serve(ctx context.Context, svc communicator.Service) (communicator.Binding, error) {
	return calls.Bind(ctx, &s.served, svc)
}

func (s *stdio) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	if _, known, closed := s.served.Find(name); !known || closed {
		return nil, agent.Refusedf(agent.CodeNotFound, "no agent %q", name)
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := client.Connect(ctx, client.Target{Name: name, Transport: mcp.Stdio, Trusted: true, Command: []string{exe},
		Env: map[string]string{relayVariable: s.to(), "GORACE": testkit.NoExitSleep}, Hello: []byte(name)}, s.o)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c] = true
	return c, nil
}

// accept serves those who dial until the listener is closed.
func (s *stdio) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.serving.Go(func() {
			defer conn.Close()
			var name []byte
			for b := make([]byte, 1); ; { // byte by byte: what follows is the server's
				if _, err := conn.Read(b); err != nil {
					return
				}
				if b[0] == '\n' {
					break
				}
				name = append(name, b[0])
			}
			if svc, ok, _ := s.served.Find(string(name)); ok {
				// how it ends is what the suite looks at from the other side
				_ = server.ServeStdio(s.ctx, svc, conn, conn, s.host, server.Identity{
					Identity: agent.Identity{Agent: "parent", Trusted: true}, Relays: true})
			}
		})
	}
}

func (s *stdio) Close(ctx context.Context) error {
	errs := []error{s.served.Close(ctx)}
	s.mu.Lock()
	sessions := slices.Collect(maps.Keys(s.sessions))
	s.mu.Unlock()
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) { // the suite closes both ends, which are one
		errs = append(errs, err)
	}
	s.stop()
	s.serving.Wait()
	for _, c := range sessions {
		select {
		case <-c.Done(): // the relay has ended, after the last answer
		case <-ctx.Done():
		}
		if err := c.Close(ctx); err != nil && !strings.Contains(err.Error(), "killed") {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// overStdio is a fresh communicator over stdio.
func overStdio(t *testing.T, fast bool) communicatortest.Setup {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := communicatortest.NewProxy(t, l.Addr().String())
	const frame = 2 << 20
	s := &stdio{to: func() string { return proxy.Addr }, listener: l, sessions: map[*client.Session]bool{},
		o: client.Options{Logger: quiet, NoFastPath: !fast, MaxFrame: frame},
		host: server.Options{Logger: quiet, NoFastPath: !fast,
			Limits: server.Limits{MaxFrame: frame, Linger: time.Second}}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.serving.Go(s.accept)
	return communicatortest.Setup{Communicator: s, Limit: frame - 64<<10, ResultLimit: 1 << 20, Sever: proxy.Sever,
		Hold: proxy.Hold}
}
