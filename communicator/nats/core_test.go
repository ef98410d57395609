package nats

import (
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/drivertest"
)

func TestWatermillSuiteOnCore(t *testing.T) {
	b := testBroker(t)
	topic := func(c tests.TestContext) string { return "om.1.test.event." + string(c.TestID) }
	drivertest.Transient(t, topic, func(t *testing.T) (message.Publisher, message.Subscriber) {
		o := b.options()
		o.Redeliver, o.Backoff = 1000, time.Microsecond
		d := open(t, o)
		sub, err := d.Subscriber("group")
		if err != nil {
			t.Fatal(err)
		}
		return d, sub
	})
}

func TestGroups(t *testing.T) {
	b := testBroker(t)
	d := open(t, b.options())
	const topic, n = "om.1.test.event.x", 100
	var mu sync.Mutex
	counts := map[string]int{}
	var all sync.WaitGroup
	all.Add(4 * n) // the groups a and b, and two of none
	listen := func(name, group string) func() error {
		s, err := d.Subscriber(group)
		if err != nil {
			t.Fatal(err)
		}
		stop, err := s.(pubsub.Receiver).Receive(topic, func(m *message.Message) {
			mu.Lock()
			defer mu.Unlock()
			counts[name]++
			all.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
		return stop
	}
	stops := []func() error{listen("a1", "a"), listen("a2", "a"), listen("b", "b"),
		listen("single1", ""), listen("single2", "")}
	for range n {
		if err := d.Publish(topic, message.NewMessage("", []byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	if counts["a1"]+counts["a2"] != n || counts["a1"] == 0 || counts["a2"] == 0 || counts["b"] != n ||
		counts["single1"] != n || counts["single2"] != n {
		t.Error(counts)
	}
	for _, stop := range stops {
		for range 2 {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	}
}

// What was received when a receiver is stopped is handed over.
func TestReceiveDrains(t *testing.T) {
	b := testBroker(t)
	d := open(t, b.options())
	s, err := d.Subscriber("g")
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	began, hold := make(chan struct{}), make(chan struct{})
	got := 0
	stop, err := s.(pubsub.Receiver).Receive("om.1.test.event.x", func(*message.Message) {
		if got++; got == 1 {
			close(began)
			<-hold
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := d.Publish("om.1.test.event.x", message.NewMessage("", nil)); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Receive(t, began)
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	close(hold)
	if err := testkit.Receive(t, stopped); err != nil || got != n {
		t.Fatalf("%d of %d messages: %v", got, n, err)
	}
}

func TestPublishRefuses(t *testing.T) {
	b := testBroker(t)
	d := open(t, b.options())
	big := message.NewMessage("", make([]byte, embeddedPayload+1))
	odd := message.NewMessage("", nil)
	odd.Metadata.Set("a key", "v")
	for topic, m := range map[string]*message.Message{"om.1.test.x": big, "om.1.test.y": odd,
		"om.1.test..x": message.NewMessage("", nil),
		"om.1.test.>":  message.NewMessage("", nil), "om.1.test.x y": message.NewMessage("", nil),
		"": message.NewMessage("", nil)} {
		if err := d.Publish(topic, m); !errors.Is(err, pubsub.ErrNotSent) {
			t.Errorf("%q: %v", topic, err)
		}
	}
	b.stop()
	testkit.Eventually(t, "nothing is sent without a broker", func() bool {
		err := d.Publish("om.1.test.x", message.NewMessage("", nil))
		return errors.Is(err, pubsub.ErrNotSent) && !errors.Is(err, pubsub.ErrClosed)
	})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Publish("om.1.test.x", message.NewMessage("", nil)); !errors.Is(err, pubsub.ErrClosed) {
		t.Error(err)
	}
	if _, err := d.Subscriber(""); !errors.Is(err, pubsub.ErrClosed) {
		t.Error(err)
	}
}

// The case of a name counts, and what a header would spoil arrives as it was.
func TestMetadataCrosses(t *testing.T) {
	b := testBroker(t)
	d := open(t, b.options())
	s, err := d.Subscriber("")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *message.Message, 1)
	if _, err := s.(pubsub.Receiver).Receive("om.1.test.x", func(m *message.Message) {
		// m is ours only until we return
		got <- &message.Message{UUID: m.UUID, Metadata: maps.Clone(m.Metadata), Payload: m.Payload}
	}); err != nil {
		t.Fatal(err)
	}
	m := message.NewMessage("own id", []byte{0, 1, 2})
	for k, v := range map[string]string{"Key": "upper", "key": "lower", "ref": "r", "empty": "", "utf8": "ä"} {
		m.Metadata.Set(k, v)
	}
	if err := d.Publish("om.1.test.x", m); err != nil {
		t.Fatal(err)
	}
	if g := testkit.Receive(t, got); g.UUID != m.UUID || !g.Equals(m) || len(g.Metadata) != len(m.Metadata) {
		t.Errorf("%s %v %v", g.UUID, g.Metadata, g.Payload)
	}
	m.UUID = "r"
	if err := d.Publish("om.1.test.x", m); err != nil {
		t.Fatal(err)
	}
	if g := testkit.Receive(t, got); g.UUID != "r" || g.Metadata[uuidHeader] != "" {
		t.Errorf("%s %v", g.UUID, g.Metadata)
	}
}
