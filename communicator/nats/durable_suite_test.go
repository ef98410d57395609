package nats

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
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

// durable opens a driver of its own for the events of a group.
func (r *restartable) durable(t *testing.T, group string) (message.Publisher, message.Subscriber) {
	t.Helper()
	v, err := open(t, r.options()).Durable(t.Context(),
		// What is lost in a restart comes again after AckWait, within the time of the tests.
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

// The whole of watermill's suite but TestReconnect, which compares what was received with what its
// publishers have noted, and does not wait until they have: the next test takes its place.
func TestWatermillSuiteOnJetStream(t *testing.T) {
	testkit.Processes(t)
	t.Parallel()
	r := newRestartable(t)
	features := tests.Features{ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, ForceShort: true}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) {
		return r.durable(t, "group")
	}, r.durable)
}

// A hundred publishers and two restarts of the server: whatever was published is received.
func TestRestartsUnderLoad(t *testing.T) {
	testkit.Processes(t)
	t.Parallel()
	const publishers, each = 100, 100
	r := newRestartable(t)
	pub, sub := r.durable(t, "group")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	received, err := sub.Subscribe(ctx, "restarts")
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	for p := range publishers {
		wg.Go(func() {
			for n := range each {
				msg := message.NewMessage(fmt.Sprint(p, "/", n), []byte("x"))
				for pub.Publish("restarts", msg) != nil {
					if ctx.Err() != nil {
						return
					}
				}
				if now := sent.Add(1); now == publishers*each/3 || now == publishers*each/2 {
					r.stop()
					r.start(t)
				}
			}
		})
	}
	missing := map[string]bool{}
	for p := range publishers {
		for n := range each {
			missing[fmt.Sprint(p, "/", n)] = true
		}
	}
	for len(missing) > 0 {
		select {
		case msg := <-received:
			delete(missing, msg.UUID) // some come twice
			msg.Ack()
		case <-ctx.Done():
			t.Fatalf("%d were published, %d not received", sent.Load(), len(missing))
		}
	}
}
