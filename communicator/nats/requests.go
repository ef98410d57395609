package nats

import (
	"fmt"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
)

// Requests implements [pubsub.Requester]. The messages have an inbox for the answer of the server
// that there are no responders; its last part is the token of the message.
func (d *Driver) Requests(noSubscribers func(token string)) (
	publish func(topic, token string, m *message.Message) error, stop func() error, err error) {
	inbox := d.nc.NewInbox() + "."
	stop, err = d.receive(inbox+"*", "", func(m *natsgo.Msg) {
		if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
			noSubscribers(strings.TrimPrefix(m.Subject, inbox))
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("subscribe to the inbox for missing responders: %w", err)
	}
	return func(topic, token string, m *message.Message) error { return d.publish(topic, inbox+token, m) }, stop, nil
}
