package pubsub

import (
	"testing"
	"time"

	"context"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// service is a Service made of a function.
type service struct {
	name string
	call agent.CallerFunc
}

func (s service) Info() agent.Info { return agent.Info{Name: s.name, Description: "a test"} }
func (s service) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return s.call(ctx, c)
}

// plain hides that a driver's subscribers are Receivers: what is left is watermill.
type plain struct{ Driver }

func (p plain) Subscriber(group string) (message.Subscriber, error) {
	s, err := p.Driver.Subscriber(group)
	return struct{ message.Subscriber }{s}, err
}

// drivers are the in-memory one, and the same as any other watermill Pub/Sub would be seen.
func drivers(t *testing.T, test func(t *testing.T, d Driver)) {
	t.Run("memory", func(t *testing.T) {
		d := NewMemory(MemoryOptions{})
		defer d.Close()
		test(t, d)
	})
	t.Run("channels", func(t *testing.T) {
		d := NewMemory(MemoryOptions{})
		defer d.Close()
		test(t, plain{d})
	})
}

// process is a communicator as a process of its own would have it.
func process(t *testing.T, d Driver, o Options) *Communicator {
	t.Helper()
	o.Project = "test"
	c, err := New(d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

func serve(t *testing.T, c *Communicator, s communicator.Service) communicator.Binding {
	t.Helper()
	b, err := c.Serve(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dial(t *testing.T, c *Communicator, name string) communicator.Peer {
	t.Helper()
	p, err := c.Dial(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pair serves s in one process and dials it from another.
func pair(t *testing.T, d Driver, o Options, s agent.CallerFunc) (communicator.Binding, communicator.Peer) {
	t.Helper()
	server, client := process(t, d, o), process(t, d, o)
	return serve(t, server, service{"callee", s}), dial(t, client, "callee")
}

func refusal(err error) (code agent.Code, notExecuted bool) {
	e := agent.AsError(err)
	if e == nil {
		return "", false
	}
	return e.Code, e.NotExecuted
}
