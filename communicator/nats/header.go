package nats

import (
	"slices"
	"strings"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
)

const uuidHeader = "uuid"

// header returns the metadata as NATS headers, and the UUID unless the metadata has it already.
func header(m *message.Message) natsgo.Header {
	o := outgoing{header: make(natsgo.Header, len(m.Metadata)+1)}
	o.fill(m)
	return o.header
}

// outgoing is a message that is being published. It is used again: a map that was used before costs
// half as much as a new one.
type outgoing struct {
	header natsgo.Header
	values []string
	msg    natsgo.Msg
}

var outgoings = sync.Pool{New: func() any { return &outgoing{header: natsgo.Header{}} }}

func (o *outgoing) fill(m *message.Message) {
	o.values = slices.Grow(o.values[:0], len(m.Metadata)+1) // the header refers to it: it must not move
	for k, v := range m.Metadata {
		o.put(k, v)
	}
	if m.UUID != "" && m.UUID != m.Metadata["ref"] && m.UUID != m.Metadata["id"] {
		o.put(uuidHeader, m.UUID)
	}
}

func (o *outgoing) put(k, v string) {
	n := len(o.values)
	o.values = append(o.values, v)
	o.header[k] = o.values[n : n+1 : n+1]
}

// free makes it ready for the next message. A map that one large message has made large is dropped.
func (o *outgoing) free() {
	if len(o.values) > 64 {
		return
	}
	clear(o.header)
	clear(o.values)
	o.msg = natsgo.Msg{}
	outgoings.Put(o)
}

// incoming is a message that is valid only while a function is called.
type incoming struct{ m message.Message }

var incomings = sync.Pool{New: func() any { return &incoming{message.Message{Metadata: message.Metadata{}}} }}

func (in *incoming) fill(m *natsgo.Msg) {
	in.m.UUID, in.m.Payload = readHeader(m.Header, in.m.Metadata), m.Data
}

func (in *incoming) free() {
	if len(in.m.Metadata) > 64 {
		return
	}
	clear(in.m.Metadata)
	in.m.UUID, in.m.Payload = "", nil
	incomings.Put(in)
}

// received is a NATS message as watermill sees it, to be acknowledged.
func received(h natsgo.Header, data []byte) *message.Message {
	uuid, md := metadata(h)
	m := message.NewMessage(uuid, data)
	m.Metadata = md
	return m
}

// metadata is the way back from header. Headers that belong to NATS itself are left out.
func metadata(h natsgo.Header) (uuid string, md message.Metadata) {
	md = make(message.Metadata, len(h))
	return readHeader(h, md), md
}

func readHeader(h natsgo.Header, md message.Metadata) (uuid string) {
	for k, v := range h {
		switch {
		case len(v) == 0 || strings.HasPrefix(k, "Nats-"):
		case k == uuidHeader:
			uuid = v[0]
		default:
			md[k] = v[0]
		}
	}
	for _, k := range []string{"ref", "id"} {
		if uuid == "" {
			uuid = md[k]
		}
	}
	return uuid
}
