package client

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/server"
)

// stdioComm is stdio as a communicator: each session is a pair of pipes with an agent served on the
// far end, as a child process has it, but in this process.
type stdioComm struct {
	o    Options
	host server.Options
	ctx  context.Context // of the far ends; when it ends they answer what runs and end
	stop context.CancelFunc

	served calls.Served[*calls.Binding]

	mu       sync.Mutex
	wires    map[*cable]struct{}
	sessions map[*Session]struct{}
	held     [2]chan struct{} // by direction: closed when the first bytes are held back; nil: flowing
	serving  sync.WaitGroup
}

func newStdioComm() *stdioComm {
	const frame = 2 << 20 // not the default, which takes its time
	c := &stdioComm{wires: map[*cable]struct{}{}, sessions: map[*Session]struct{}{},
		o: Options{MaxFrame: frame},
		host: server.Options{Logger: fixture.Quiet,
			Limits: server.Limits{MaxFrame: frame, Linger: time.Second}}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

func (c *stdioComm) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	return calls.Bind(ctx, &c.served, s)
}

func (c *stdioComm) Dial(ctx context.Context, name string) (communicator.Peer, error) {
	b, ok, _ := c.served.Find(name)
	if !ok {
		return nil, agent.Refusedf(agent.CodeNotFound, "no agent %q", name)
	}
	toCallee, err := c.lay(communicatortest.ToCallee)
	if err != nil {
		return nil, err
	}
	toCaller, err := c.lay(communicatortest.ToCaller)
	if err != nil {
		return nil, err
	}
	c.serving.Go(func() {
		// How it ends is what the suite looks at from the other side.
		_ = server.ServeStdio(c.ctx, b, toCallee.out, toCaller.in, c.host, server.Identity{
			Identity: agent.Identity{Agent: "parent", Trusted: true}, Relays: true})
		_ = toCallee.out.Close()
		_ = toCaller.in.Close() // what was written before still arrives
	})
	s, err := connectPipes(ctx, pipe{Reader: toCaller.out, Writer: toCallee.in}, Target{Name: name, Trusted: true}, c.o)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.sessions[s] = struct{}{}
	c.mu.Unlock()
	return s, nil
}

func (c *stdioComm) Close(ctx context.Context) error {
	errs := []error{c.served.Close(ctx)}
	c.mu.Lock()
	sessions := maps.Clone(c.sessions)
	c.mu.Unlock()
	c.stop()
	for s := range sessions {
		select {
		case <-s.Done(): // after the last answer
		case <-ctx.Done():
		}
		errs = append(errs, s.Close(ctx))
	}
	c.Sever()
	c.serving.Wait()
	return errors.Join(errs...)
}

// Sever cuts every connection, as the death of the child does.
func (c *stdioComm) Sever() {
	c.mu.Lock()
	c.held = [2]chan struct{}{}
	var all []*cable
	for w := range c.wires {
		all = append(all, w)
	}
	c.mu.Unlock()
	for _, w := range all {
		w.cut()
	}
}

// Hold keeps back what is written in that direction.
func (c *stdioComm) Hold(d communicatortest.Direction) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[d] == nil {
		c.held[d] = make(chan struct{})
	}
	return c.held[d]
}

// A cable is two pipes with a goroutine between them, so that it can be held and cut.
type cable struct {
	in, out  *os.File // what its users write to and read from
	from, to *os.File // the goroutine's ends
	gone     chan struct{}
	cut      func()
}

func (c *stdioComm) lay(d communicatortest.Direction) (*cable, error) {
	from, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, to, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, from.Close(), in.Close())
	}
	w := &cable{in: in, out: out, from: from, to: to, gone: make(chan struct{})}
	w.cut = sync.OnceFunc(func() {
		close(w.gone)
		_ = w.from.Close() // whoever writes gets EPIPE
		_ = w.to.Close()   // whoever reads gets EOF
	})
	c.mu.Lock()
	c.wires[w] = struct{}{}
	c.mu.Unlock()
	c.serving.Go(func() {
		c.carry(w, d)
		w.cut()
		c.mu.Lock()
		delete(c.wires, w)
		c.mu.Unlock()
	})
	return w, nil
}

// carry copies until either end is closed.
func (c *stdioComm) carry(w *cable, d communicatortest.Direction) {
	buf := make([]byte, 64<<10)
	told := (chan struct{})(nil)
	for {
		n, err := w.from.Read(buf)
		if err != nil {
			return
		}
		c.mu.Lock()
		held := c.held[d]
		if held != nil && held != told {
			told = held
			select {
			case <-held:
			default:
				close(held)
			}
		}
		c.mu.Unlock()
		if held != nil {
			<-w.gone // a Hold ends with Sever
			return
		}
		if _, err := w.to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestStdioContract(t *testing.T) {
	if fixture.NoFastPath {
		t.Skip("difftest runs it without the fast path")
	}
	communicatortest.Run(t, communicatortest.Config{
		New: func(*testing.T) communicatortest.Setup {
			c := newStdioComm()
			return communicatortest.Setup{Communicator: c, Limit: c.o.inputLimit(mcp.Stdio),
				ResultLimit: 3 << 19, Sever: c.Sever, Hold: c.Hold}
		},
	})
}
