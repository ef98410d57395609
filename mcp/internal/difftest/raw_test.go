package difftest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/server"
)

// A rawClient sends messages to one of our servers, byte for byte, and keeps all that comes back.
type rawClient interface {
	// send sends one message. It returns when the server has taken it.
	send(msg string)
	// messages is how many were sent; it is in what is heard of one that was refused.
	messages() int
	await(t testing.TB, what string, is func(msg string) bool) string
	awaitNth(t testing.TB, what string, n int, is func(msg string) bool) string
	// fast is the number of calls that took the fast path.
	fast() int64
	// finish lets everything come to its end, and returns what the server has said.
	finish() []string
}

// heard is what a server has said so far.
type heard struct {
	mu   sync.Mutex
	said []string
	more chan struct{} // closed when there is more
}

func (h *heard) add(msg string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, msg)
	if h.more != nil {
		close(h.more)
		h.more = nil
	}
}

func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said
}

// await waits for a message.
func (h *heard) await(t testing.TB, what string, is func(msg string) bool) (found string) {
	t.Helper()
	return h.awaitNth(t, what, 1, is)
}

// awaitNth waits for the nth message of a kind.
func (h *heard) awaitNth(t testing.TB, what string, n int, is func(msg string) bool) (found string) {
	t.Helper()
	late := time.After(hang)
	for {
		h.mu.Lock()
		left := n
		for _, m := range h.said {
			if is(m) {
				left--
			}
			if left == 0 {
				h.mu.Unlock()
				return m
			}
		}
		if h.more == nil {
			h.more = make(chan struct{})
		}
		more := h.more
		h.mu.Unlock()
		select {
		case <-more:
		case <-late:
			t.Fatalf("no %s, but %q", what, h.all())
		}
	}
}

func identity(trusted bool) server.Identity {
	return server.Identity{Identity: agent.Identity{User: "raw", Trusted: trusted}, Relays: trusted}
}

func options(fast bool) server.Options {
	return server.Options{Logger: quiet, NoFastPath: !fast,
		Limits: server.Limits{Linger: hang},
		Identify: func(r *http.Request) (server.Identity, error) {
			return identity(r.Header.Get("X-Trusted") != ""), nil
		}}
}

// directory is the one agent, for a gateway.
type directory struct{ service }

func (d directory) Agents() []agent.Info { return []agent.Info{d.Info()} }

func (d directory) Agent(name string) (agent.Info, bool) { return d.Info(), name == "callee" }

// lineClient speaks to a server on stdio: a gateway, or an agent whose client is trusted.
type lineClient struct {
	heard
	t       testing.TB
	in      *io.PipeWriter
	gateway *server.Gateway
	done    chan struct{}
}

func newGateway(t testing.TB, dir agent.Directory, fast bool) *server.Gateway {
	g, err := server.NewGateway(dir, server.GatewayOptions{Options: options(fast)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newLineClient(t testing.TB, g *server.Gateway, fast, trusted bool) *lineClient {
	c := &lineClient{t: t, done: make(chan struct{}), gateway: g}
	toServer, in := io.Pipe()
	fromServer, out := io.Pipe()
	c.in = in
	go func() {
		// how it ends is seen in what it has said
		if trusted {
			_ = server.ServeStdio(context.Background(), service{}, toServer, out, options(fast),
				identity(true))
		} else {
			_ = c.gateway.ServeStdio(context.Background(), toServer, out)
		}
		_ = out.Close()
		_ = toServer.Close()
	}()
	go func() {
		defer close(c.done)
		lines := bufio.NewReader(fromServer)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			c.add(strings.TrimSpace(line))
		}
	}()
	return c
}

func (c *lineClient) fast() int64 { return c.gateway.FastCalls() }

func (c *lineClient) messages() int { return 0 } // none is refused by a status

func (c *lineClient) send(msg string) { _, _ = io.WriteString(c.in, msg+"\n") } // a server that has ended is seen

func (c *lineClient) finish() []string {
	_ = c.in.Close()
	select {
	case <-c.done:
	case <-time.After(hang):
		c.t.Fatalf("the server does not end, after %q", c.all())
	}
	return c.all()
}
