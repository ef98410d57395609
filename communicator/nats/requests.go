package nats

import (
	"fmt"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/communicator/pubsub"
)

// requests are messages with an inbox of their own for the answer of the server: that there are no
// responders. Which message it was, the inbox says.
type requests struct {
	d     *Driver
	inbox string // with a dot at its end
	stop  func() error
}

// Requests implements [pubsub.Requester].
func (d *Driver) Requests(unheard func(token string)) (pubsub.Requests, error) {
	r := &requests{d: d, inbox: d.nc.NewInbox() + "."}
	stop, err := d.receive(r.inbox+"*", "", func(m *natsgo.Msg) {
		if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
			unheard(strings.TrimPrefix(m.Subject, r.inbox))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listen for what nobody hears: %w", err)
	}
	r.stop = stop
	return r, nil
}

func (r *requests) Request(topic, token string, m *message.Message) error {
	return r.d.publish(topic, r.inbox+token, m)
}

func (r *requests) Close() error { return r.stop() }
