// Package redis is a broker for openmas that the core does not have: Redis Streams. It shows what a
// third-party driver has to do. (watermill's own adapter for Redis serves events well, and calls
// badly: it closes the client that it is given, and leaves goroutines behind that sleep.)
//
//	openmas.Main(types, openmas.WithDriver("redis", redis.Connect))
//
// The project file then chooses it:
//
//	broker: {type: redis, options: {address: "127.0.0.1:6379", password: "${env:REDIS_PASSWORD}"}}
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// Options are the keys under broker.options.
type Options struct {
	// Address is host:port. Default 127.0.0.1:6379.
	Address  string `json:"address"`
	User     string `json:"user"`
	Password string `json:"password"`
	DB       int    `json:"db"`
	// Keep is about how many messages a stream holds; older ones are lost to who is too slow.
	// Default 10000.
	Keep int64 `json:"keep"`
	// Connections is the most there may be: each agent of this process needs two, each topic that
	// an agent listens to one. Default 512.
	Connections int `json:"connections"`
}

// Connect is a [runtime.NewDriver].
func Connect(ctx context.Context, o runtime.DriverOptions) (pubsub.Driver, error) {
	own := Options{Address: "127.0.0.1:6379", Keep: 10_000, Connections: 512}
	if err := project.Fill(&own, o.Options); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	// A command that is sent twice is a message that comes twice: no retries.
	d := &Driver{keep: own.Keep, log: o.Logger, lost: map[int]func(error){},
		client: goredis.NewClient(&goredis.Options{Addr: own.Address, Username: own.User, Password: own.Password,
			DB:       own.DB,
			PoolSize: own.Connections, MaxRetries: -1, ContextTimeoutEnabled: true, ClientName: "openmas"})}
	began := time.Now()
	for {
		err := d.client.Ping(ctx).Err()
		if err == nil {
			return d, nil
		}
		var refused goredis.Error // the server has answered: waiting does not help
		if errors.As(err, &refused) || o.Wait != 0 && time.Since(began) >= max(o.Wait, 0) || ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("connect to %s: %w", own.Address, err), d.client.Close())
		}
		o.Logger.Warn("waiting for the broker", "address", own.Address, "error", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// Driver is a [pubsub.Driver]. A subject is a stream that exists for as long as somebody subscribes
// to it, a group a consumer group; whoever has none gets one of its own. A message is delivered at
// most once. What a process that was killed had subscribed to stays: calls to it end after two
// missing heartbeats.
type Driver struct {
	client *goredis.Client
	keep   int64
	log    *slog.Logger
	once   sync.Once

	mu   sync.Mutex
	lost map[int]func(error)
	last int
}

var (
	_ pubsub.Driver = (*Driver)(nil)
	_ pubsub.Remote = (*Driver)(nil)
)

// MaxPayload implements [pubsub.Driver].
func (d *Driver) MaxPayload() int { return 4 << 20 }

// OnLost implements [pubsub.Remote]. With it come heartbeats: processes may vanish.
func (d *Driver) OnLost(fn func(error)) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	id := d.last
	d.lost[id] = fn
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.lost, id)
	}
}

// Publish implements [pubsub.Driver]. There is no stream where nobody subscribes.
func (d *Driver) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		err := d.client.XAdd(m.Context(), &goredis.XAddArgs{Stream: topic, Values: values(m), NoMkStream: true,
			MaxLen: d.keep, Approx: true}).Err()
		var op *net.OpError
		switch {
		case err == nil:
		case errors.Is(err, goredis.Nil):
			return fmt.Errorf("publish to %s: %w", topic, pubsub.ErrNoSubscribers)
		case errors.Is(err, goredis.ErrClosed):
			return fmt.Errorf("publish to %s: %w", topic, pubsub.ErrClosed)
		case errors.As(err, &op) && op.Op == "dial":
			return fmt.Errorf("publish to %s: %w: %w", topic, err, pubsub.ErrNotSent)
		default:
			return fmt.Errorf("publish to %s: %w", topic, err)
		}
	}
	return nil
}

// Close implements [pubsub.Driver].
func (d *Driver) Close() error {
	var err error
	d.once.Do(func() { err = d.client.Close() })
	return err
}

// Subscriber implements [pubsub.Driver].
func (d *Driver) Subscriber(group string) (message.Subscriber, error) {
	if group == "" {
		group = "alone-" + rand.Text()
	}
	return &subscriber{d: d, group: group}, nil
}

// connectionLost calls the functions of OnLost: answers may be lost.
func (d *Driver) connectionLost(err error) {
	d.mu.Lock()
	fns := slices.Collect(maps.Values(d.lost))
	d.mu.Unlock()
	for _, fn := range fns {
		fn(err)
	}
}
