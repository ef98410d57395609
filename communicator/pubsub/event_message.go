package pubsub

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

// EventMessage is an event as the message that carries it. An event without an ID gets a random
// one; the message's UUID is the ID. Too much metadata, or a payload of more than maxPayload bytes
// unless that is 0, is resource_exhausted.
func EventMessage(p agent.Publication, maxPayload int) (*message.Message, error) {
	if p.ID == "" {
		p.ID = strconv.FormatUint(rand.Uint64(), 36)
	}
	f := frame{kind: kindEvent, id: p.ID, topic: p.Topic, source: p.Source, key: p.Key, sent: time.Now().UnixMilli(),
		meta: p.Meta, payload: p.Payload}
	m, refused := f.encode(maxPayload)
	if refused != nil {
		return nil, refused
	}
	return m, nil
}

// ReadEvent is the way back. On an error the publication has what could be read.
func ReadEvent(m *message.Message) (agent.Publication, error) {
	f, err := decode(m)
	p := agent.Publication{ID: f.id, Topic: f.topic, Source: f.source, Key: f.key, Payload: f.payload, Meta: f.meta}
	switch {
	case err != nil:
		return p, err
	case f.kind != kindEvent:
		return p, agent.Errorf(agent.CodeUnimplemented, "a message of kind %.40q is no event", f.kind)
	}
	return p, nil
}
