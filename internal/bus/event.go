package bus

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

// EncodeEvent returns the message of an event, whose UUID is the event's ID. An event without an ID
// gets a random one. Errors are those of [Frame.Encode].
func EncodeEvent(e agent.Event, maxPayload int) (*message.Message, error) {
	if e.ID == "" {
		e.ID = strconv.FormatUint(rand.Uint64(), 36)
	}
	f := Frame{Kind: KindEvent, ID: e.ID, Topic: e.Topic, Source: e.Source, Key: e.Key, Sent: time.Now().UnixMilli(),
		Meta: e.Meta, Payload: e.Payload}
	m, refused := f.Encode(maxPayload)
	if refused != nil {
		return nil, refused
	}
	return m, nil
}

// DecodeEvent returns the event of a message. On an error it has the fields that could be read.
func DecodeEvent(m *message.Message) (agent.Event, error) {
	f, err := Decode(m)
	e := agent.Event{ID: f.ID, Topic: f.Topic, Source: f.Source, Key: f.Key, Payload: f.Payload, Meta: f.Meta}
	switch {
	case err != nil:
		return e, err
	case f.Kind != KindEvent:
		return e, agent.Errorf(agent.CodeUnimplemented, "a message of kind %.40q is no event", f.Kind)
	}
	return e, nil
}
