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
func EncodeEvent(p agent.Publication, maxPayload int) (*message.Message, error) {
	if p.ID == "" {
		p.ID = strconv.FormatUint(rand.Uint64(), 36)
	}
	f := Frame{Kind: KindEvent, ID: p.ID, Topic: p.Topic, Source: p.Source, Key: p.Key, Sent: time.Now().UnixMilli(),
		Meta: p.Meta, Payload: p.Payload}
	m, refused := f.Encode(maxPayload)
	if refused != nil {
		return nil, refused
	}
	return m, nil
}

// DecodeEvent is the way back. On an error the publication has what could be read.
func DecodeEvent(m *message.Message) (agent.Publication, error) {
	f, err := Decode(m)
	p := agent.Publication{ID: f.ID, Topic: f.Topic, Source: f.Source, Key: f.Key, Payload: f.Payload, Meta: f.Meta}
	switch {
	case err != nil:
		return p, err
	case f.Kind != KindEvent:
		return p, agent.Errorf(agent.CodeUnimplemented, "a message of kind %.40q is no event", f.Kind)
	}
	return p, nil
}
