package pubsub

import (
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
)

// A Driver carries messages: a message broker, seen through watermill. It is safe for concurrent
// use. Whoever made it closes it, after the communicators and event hubs that use it.
//
// Messages of one publisher to one subject reach a subscription in the order of their publication.
//
// A driver may also be a [Requester] and a [Remote], and its subscribers may be a [Receiver].
type Driver interface {
	// Publisher sends messages. An error of Publish that is [ErrNotSent] is evidence that nobody
	// got the message or ever will; any other error leaves that open. A subject without subscribers
	// is [ErrNoSubscribers] where the driver can tell. The context of a message bounds how long
	// Publish may wait for room.
	//
	// When Publish has returned, its caller uses the message, its metadata and its context for
	// others. The driver may keep the payload, which is not changed any more.
	message.Publisher
	// Subscriber returns a new subscriber. Of the subscribers of one group, in all processes, one
	// gets each message; with the empty group every one does. Closing it ends its subscriptions and
	// nothing else.
	Subscriber(group string) (message.Subscriber, error)
	// MaxPayload is the largest payload in bytes, with up to [MaxMetadata] bytes of metadata beside
	// it. 0: no limit.
	MaxPayload() int
}

// A Receiver is a subscriber that calls a function, where watermill goes through a channel and an
// acknowledgement. It saves a call two changes of goroutine in each direction.
type Receiver interface {
	// Receive calls fn with each message to the topic, at most once, until stop. fn is quick, does
	// not wait for other messages and may be called concurrently. It may keep the payload, but
	// neither the message nor its metadata, and must not change them. Calls of fn that began before
	// stop was called may go on after it returned.
	Receive(topic string, fn func(*message.Message)) (stop func() error, err error)
}

// A Requester is a driver that learns only after Publish has returned that a subject has no
// subscribers.
type Requester interface {
	// Requests returns a function that publishes one message as Publish does, under a token of
	// letters, digits, - and !. noSubscribers is called with the token of each message that reached
	// no subscriber, within milliseconds and concurrently; it is quick. stop follows the last
	// message; noSubscribers may still be running when it returns.
	Requests(noSubscribers func(token string)) (
		publish func(topic, token string, m *message.Message) error, stop func() error, err error)
}

// A Remote is a driver whose broker stands between processes that can vanish without notice.
// Communicators over it send heartbeats, and expect them.
type Remote interface {
	// OnLost has fn called whenever the connection to the broker was lost, and with it perhaps what
	// was on its way, until stop. fn does not wait.
	OnLost(fn func(error)) (stop func())
}

var (
	// ErrNotSent is in every error of a Publish that certainly reached nobody.
	ErrNotSent = errors.New("not sent")
	// ErrNoSubscribers reports a subject without subscribers. It is an ErrNotSent.
	ErrNoSubscribers = fmt.Errorf("no subscribers: %w", ErrNotSent)
	// ErrClosed reports that the driver is closed. It is an ErrNotSent.
	ErrClosed = fmt.Errorf("the driver is closed: %w", ErrNotSent)
)
