// Package drivertest tests brokers: with watermill's own suite, and with what events promise over
// any of them.
package drivertest

import (
	"context"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
)

// Transient runs watermill's suite on a Pub/Sub that keeps nothing for subscribers to come. topic
// names the topic of a test; nil: any name will do.
//
// Left out are the tests that need what was published before to be there (TestSubscribeCtx,
// TestConsumerGroups, TestContinueAfterErrors, TestContinueAfterSubscribeClose,
// TestConcurrentClose, TestNewSubscriberReceivesOldMessages), and TestReconnect, which restarts a
// service.
func Transient(t *testing.T, topic func(tests.TestContext) string, construct tests.PubSubConstructor) {
	features := tests.Features{ExactlyOnceDelivery: true, GuaranteedOrder: true, RequireSingleInstance: true,
		GenerateTopicFunc: topic}
	early := func(t *testing.T) (message.Publisher, message.Subscriber) {
		p, s := construct(t)
		return p, &early{Subscriber: s, got: map[string]<-chan *message.Message{}}
	}
	for name, test := range map[string]func(*testing.T, tests.TestContext, tests.PubSubConstructor){
		"PublishSubscribe":                  tests.TestPublishSubscribe,
		"ConcurrentSubscribe":               tests.TestConcurrentSubscribe,
		"ConcurrentSubscribeMultipleTopics": tests.TestConcurrentSubscribeMultipleTopics,
		"PublishSubscribeInOrder":           tests.TestPublishSubscribeInOrder,
		"ResendOnError":                     tests.TestResendOnError,
		"NoAck":                             tests.TestNoAck,
		"PublisherClose":                    tests.TestPublisherClose,
		"Topic":                             tests.TestTopic,
		"MessageCtx":                        tests.TestMessageCtx,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, tests.TestContext{TestID: tests.NewTestID(), Features: features}, early)
		})
	}
}

// early subscribes when the suite initializes a topic: the suite publishes before it subscribes.
type early struct {
	message.Subscriber
	mu  sync.Mutex
	got map[string]<-chan *message.Message
}

func (e *early) SubscribeInitialize(topic string) error {
	ch, err := e.Subscriber.Subscribe(context.Background(), topic)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got[topic] = ch
	return err
}

func (e *early) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if ch := e.got[topic]; ch != nil {
		delete(e.got, topic)
		return ch, nil
	}
	return e.Subscriber.Subscribe(ctx, topic)
}
