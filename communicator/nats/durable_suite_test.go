package nats

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/openmas/openmas/internal/testkit"
)

// restartable is a server that comes back with its port, its store and its user.
type restartable struct {
	so  server.Options
	mu  sync.Mutex
	srv *server.Server
}

func newRestartable(t *testing.T) *restartable {
	t.Helper()
	r := &restartable{so: server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true,
		StoreDir: t.TempDir(), DisableJetStreamBanner: true}}
	r.start(t)
	r.so.Port = r.srv.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *restartable) start(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	so := r.so
	err := admit(&so, "test", "secret")
	if err == nil {
		r.srv, err = start(&so, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		t.Error(err)
	}
}

func (r *restartable) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	stop(r.srv)
}

func (r *restartable) options() Options {
	return Options{Project: "test", URLs: []string{r.srv.ClientURL()}, User: "test", Password: "secret"}
}

// watermill's suite restarts brokers by a command: ours asks the test's process.
const restartArg = "restart-the-broker"

func (r *restartable) command(t *testing.T) []string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.stop()
			r.start(t)
			_ = c.Close() // that is the answer
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, restartArg, l.Addr().String()}
}

func askForRestart(addr string) int {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 1
	}
	defer c.Close()
	if _, err := io.ReadAll(c); err != nil {
		return 1
	}
	return 0
}

// The whole of watermill's suite.
func TestWatermillSuiteOnJetStream(t *testing.T) {
	testkit.Processes(t)
	t.Parallel()
	r := newRestartable(t)
	features := tests.Features{ConsumerGroups: true, GuaranteedOrder: true, Persistent: true,
		RestartServiceCommand: r.command(t), ForceShort: true}
	construct := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		v, err := open(t, r.options()).Durable(t.Context(),
			// What is lost in a restart comes again after AckWait, in the middle of TestReconnect.
			DurableOptions{InOrder: true, Attempts: 1 << 20, Backoff: time.Millisecond, AckWait: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_ = v.Close(ctx) // the suite leaves subscribers open, with messages in hand
		})
		s, err := v.Subscriber(group)
		if err != nil {
			t.Fatal(err)
		}
		return v.Publisher(), s
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		return construct(t, "group")
	}, construct)
}
