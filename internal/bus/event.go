package bus

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

// EncodeEvent is an event as the message that carries it. An event without an ID gets a random
// one; the message's UUID is the ID. Too much metadata, or a payload of more than maxPayload bytes
// unless that is 0, is resource_exhausted.
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

// DecodeEvent is the way back. On an error the event has what could be read.
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
