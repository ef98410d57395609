package nats

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/communicator/pubsub"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m)
}

// testBroker is a server of its own for the project "test".
func testBroker(t testing.TB) *broker {
	t.Helper()
	o := Options{Project: "test", StateDir: t.TempDir()}
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	b, err := startBroker(&o, o.StateDir, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return b
}

// options are those of a client of b over TCP.
func (b *broker) options() Options {
	return Options{Project: "test", URLs: []string{b.access.URL}, User: b.access.User, Password: b.access.Token}
}

func open(t testing.TB, o Options) *Driver {
	t.Helper()
	d, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// service is a Service made of a function.
type service struct {
	name string
	call agent.CallerFunc
}

func (s service) Info() agent.Info { return agent.Info{Name: s.name} }
func (s service) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return s.call(ctx, c)
}

// process is a communicator as a process of its own would have it.
func process(t testing.TB, d pubsub.Driver) *pubsub.Communicator {
	t.Helper()
	c, err := pubsub.New(d, pubsub.Options{Project: "test", MaxInFlight: 128})
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

func serve(t testing.TB, c *pubsub.Communicator, name string, fn agent.CallerFunc) communicator.Binding {
	t.Helper()
	b, err := c.Serve(context.Background(), service{name, fn})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dial(t testing.TB, c *pubsub.Communicator, name string) communicator.Peer {
	t.Helper()
	p, err := c.Dial(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func echo(_ context.Context, c *agent.Call) (*agent.Result, error) {
	return &agent.Result{Structured: c.Input}, nil
}
