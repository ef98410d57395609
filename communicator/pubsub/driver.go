package pubsub

import (
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
)

// A Driver carries messages: a message broker, seen through watermill. It is safe for concurrent
// use and is closed by whoever made it, after the communicators and hubs that use it.
//
// Messages of one publisher to one subject reach a subscription in order. A message that was passed
// to Publish is not changed any more. Its Context bounds how long Publish may wait for room.
type Driver interface {
	// Publisher: an error of Publish that is [ErrNotSent] is evidence that nobody got the message
	// or ever will; any other error leaves that open. A subject to which nobody subscribes is
	// [ErrNoSubscribers] where the driver can tell.
	message.Publisher
	// Subscriber returns a new subscriber. Of the subscribers of one group, in all processes, one
	// gets each message; with the empty group every one does. Closing it ends its subscriptions and
	// nothing else. It may be a [Receiver] too.
	Subscriber(group string) (message.Subscriber, error)
	// MaxPayload is the largest payload in bytes, with up to [MaxMetadata] bytes of metadata beside
	// it. 0: no limit.
	MaxPayload() int
}

// A Receiver is what a driver's Subscriber may be besides: one that calls a function, where
// watermill goes through a channel and an acknowledgement. It makes calls faster by two changes of
// goroutine in each direction.
type Receiver interface {
	// Receive calls fn with each message to the topic, at most once. fn is quick, does not wait for
	// other messages and may be called concurrently; it may keep the payload, but must not change
	// the metadata and keep neither that nor the message. Calls of fn that began before stop was
	// called may go on after it returned.
	Receive(topic string, fn func(*message.Message)) (stop func() error, err error)
}

// A Borrower is what a driver may be besides: one that is done with a message, its metadata and its
// context when Publish returns, and keeps its payload at most. The messages of calls serve again
// then.
type Borrower interface {
	// Borrows does nothing: that it is there is a promise of Publish, and of Request.
	Borrows()
}

// A Requester is what a driver may be besides: one that learns only after Publish has returned that
// nobody listened.
type Requester interface {
	// Requests returns a way to publish messages that somebody has to hear. unheard is called with
	// the token of each that nobody listened to, within milliseconds, concurrently; it is quick.
	Requests(unheard func(token string)) (Requests, error)
}

// Requests is safe for concurrent use. Close ends it, after the last Request; unheard may still be
// running then.
type Requests interface {
	// Request is Publish of one message. The token is letters, digits, - and !.
	Request(topic, token string, m *message.Message) error
	Close() error
}

// A Remote is what a driver may be besides: one whose broker stands between processes that can
// vanish without a word. Over it, communicators send and expect heartbeats.
type Remote interface {
	// OnLost has fn called whenever the connection to the broker was lost, and with it perhaps what
	// was on its way, until stop. fn does not wait.
	OnLost(fn func(error)) (stop func())
}

var (
	// ErrNotSent is in every error of a Publish that certainly reached nobody.
	ErrNotSent = errors.New("not sent")
	// ErrNoSubscribers says that nobody listens. It is an ErrNotSent.
	ErrNoSubscribers = fmt.Errorf("nobody listens: %w", ErrNotSent)
	// ErrClosed says that the driver is closed. It is an ErrNotSent.
	ErrClosed = fmt.Errorf("the driver is closed: %w", ErrNotSent)
)
