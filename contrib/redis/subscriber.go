package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"

	"github.com/openmas/openmas/communicator/pubsub"
)

const (
	stepTimeout = 5 * time.Second
	// block is how long a read waits for a message: closing ends it, if nothing goes wrong.
	block = time.Second
	// pause lies between two attempts to reach a server that is away.
	pause = 100 * time.Millisecond
	// deliveries is how often a message is delivered in all, when it is nacked each time.
	deliveries = 3
)

// The fields of a message in its stream.
const (
	fieldUUID    = "uuid"
	fieldPayload = "payload"
	fieldMeta    = "meta-" // and the key
)

func values(m *message.Message) []any {
	all := make([]any, 0, 4+2*len(m.Metadata))
	all = append(all, fieldUUID, m.UUID, fieldPayload, []byte(m.Payload))
	for k, v := range m.Metadata {
		all = append(all, fieldMeta+k, v)
	}
	return all
}

func received(x goredis.XMessage) *message.Message {
	m := &message.Message{Metadata: message.Metadata{}}
	for k, v := range x.Values {
		text, _ := v.(string)
		switch key, isMeta := strings.CutPrefix(k, fieldMeta); {
		case isMeta:
			m.Metadata[key] = text
		case k == fieldUUID:
			m.UUID = text
		case k == fieldPayload:
			m.Payload = []byte(text)
		}
	}
	out := message.NewMessage(m.UUID, m.Payload)
	out.Metadata = m.Metadata
	return out
}

// entry decodes a message as a script returns it: its number in the stream, and its fields.
func entry(e any) goredis.XMessage {
	x := goredis.XMessage{Values: map[string]any{}}
	if pair, ok := e.([]any); ok && len(pair) == 2 {
		fields, _ := pair[1].([]any)
		for i := 0; i+1 < len(fields); i += 2 {
			if k, ok := fields[i].(string); ok {
				x.Values[k] = fields[i+1]
			}
		}
	}
	return x
}

// Each is one step for Redis, so that nobody joins a group that is being removed.
var (
	join = goredis.NewScript(`redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '$', 'MKSTREAM')
return redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], ARGV[1], ARGV[2])`)
	// The last of a group takes what is left before it goes, so that nobody waits for an answer.
	leave = goredis.NewScript(`if #redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1]) == 1 then
  local left = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 64, 'NOACK', 'STREAMS', KEYS[1], '>')
  if left then return left[1][2] end
end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
if #redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1]) == 0 then redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1]) end
if #redis.call('XINFO', 'GROUPS', KEYS[1]) == 0 then redis.call('DEL', KEYS[1]) end
return {}`)
)

// subscriber is a [message.Subscriber] and a [pubsub.Receiver].
type subscriber struct {
	d     *Driver
	group string

	mu     sync.Mutex
	closed bool
	ends   []func() error
}

var _ pubsub.Receiver = (*subscriber)(nil)

// Receive implements [pubsub.Receiver].
func (s *subscriber) Receive(topic string, fn func(*message.Message)) (func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the subscriber is closed")
	}
	r := &reader{d: s.d, topic: topic, group: s.group, consumer: rand.Text(), conn: s.d.client.Conn(),
		stop: make(chan struct{}), done: make(chan struct{}), fn: fn}
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	id, err := r.conn.ClientID(ctx).Result()
	if err == nil {
		r.id.Store(id)
		err = r.join(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join %s: %w", topic, err), r.conn.Close())
	}
	go r.run()
	end := sync.OnceValue(r.end)
	s.ends = append(s.ends, end)
	return end, nil
}

// Subscribe implements watermill's Subscriber: the next message comes when the one before is
// acknowledged.
func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	out, closing := make(chan *message.Message), make(chan struct{})
	end, err := s.Receive(topic, func(m *message.Message) {
		for range deliveries {
			again := m.Copy()
			again.SetContext(ctx)
			select {
			case out <- again:
			case <-ctx.Done():
				return
			}
			select {
			case <-again.Acked():
				return
			case <-again.Nacked():
			case <-ctx.Done():
				return
			}
		}
		s.d.log.Warn("a message was dead-lettered", "topic", topic, "message", m.UUID)
	})
	if err != nil {
		return nil, err
	}
	finish := sync.OnceValue(func() error {
		err := end()
		close(out)
		close(closing)
		return err
	})
	s.mu.Lock()
	s.ends = append(s.ends, finish)
	s.mu.Unlock()
	go func() { // ends with the subscription, if not before
		select {
		case <-ctx.Done():
			_ = finish() // Close returns its error
		case <-closing:
		}
	}()
	return out, nil
}

// Close implements watermill's Subscriber.
func (s *subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	ends := s.ends
	s.mu.Unlock()
	var errs []error
	for _, end := range ends {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// reader reads one stream, on a connection of its own.
type reader struct {
	d                      *Driver
	topic, group, consumer string
	conn                   *goredis.Conn
	id                     atomic.Int64
	fn                     func(*message.Message)
	stop, done             chan struct{}
}

func (r *reader) join(ctx context.Context) error {
	return join.Run(ctx, r.d.client, []string{r.topic}, r.group, r.consumer).Err()
}

func (r *reader) run() {
	defer close(r.done)
	for {
		select {
		case <-r.stop:
			return
		default:
		}
		streams, err := r.conn.XReadGroup(context.Background(),
			&goredis.XReadGroupArgs{Group: r.group, Consumer: r.consumer, Streams: []string{r.topic, ">"}, Count: 64,
				Block: block, NoAck: true}).Result()
		for _, s := range streams {
			for _, x := range s.Messages {
				r.fn(received(x))
			}
		}
		if err != nil && !errors.Is(err, goredis.Nil) && !r.recover(err) {
			return
		}
	}
}

// recover waits until the server is back, which may have lost all its data, and joins again. It
// returns false when the reader has ended.
func (r *reader) recover(lost error) bool {
	r.d.log.Warn("the connection to the broker was lost", "topic", r.topic, "error", lost)
	r.d.connectionLost(lost)
	for {
		select {
		case <-r.stop:
			return false
		case <-time.After(pause):
		}
		ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
		err := r.join(ctx)
		if err == nil {
			_ = r.conn.Close() // it was lost
			r.conn = r.d.client.Conn()
			var id int64
			id, err = r.conn.ClientID(ctx).Result()
			r.id.Store(id)
		}
		cancel()
		if errors.Is(err, goredis.ErrClosed) {
			return false
		}
		if err == nil {
			return true
		}
	}
}

func (r *reader) end() error {
	close(r.stop)
	ctx, cancel := context.WithTimeout(context.Background(), stepTimeout)
	defer cancel()
	for waiting := true; waiting; { // a wake that comes between two reads is lost
		_ = r.d.client.ClientUnblock(ctx, r.id.Load()).Err() // the read ends by itself, later
		select {
		case <-r.done:
			waiting = false
		case <-time.After(pause):
		}
	}
	var err error
	for left := true; left && err == nil; {
		var entries []any
		entries, err = leave.Run(ctx, r.d.client, []string{r.topic}, r.group, r.consumer).Slice()
		for _, e := range entries {
			r.fn(received(entry(e)))
		}
		left = len(entries) > 0
	}
	if err = errors.Join(err, r.conn.Close()); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return fmt.Errorf("leave %s: %w", r.topic, err)
	}
	return nil
}
