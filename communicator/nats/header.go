package nats

import (
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
)

const uuidHeader = "uuid"

// header is the metadata as NATS headers. The UUID goes along unless it is there anyway.
func header(m *message.Message) natsgo.Header {
	h := make(natsgo.Header, len(m.Metadata)+1)
	values := make([]string, 0, len(m.Metadata)+1)
	put := func(k, v string) {
		values = append(values, v)
		h[k] = values[len(values)-1 : len(values) : len(values)]
	}
	for k, v := range m.Metadata {
		put(k, v)
	}
	if m.UUID != "" && m.UUID != m.Metadata["ref"] && m.UUID != m.Metadata["id"] {
		put(uuidHeader, m.UUID)
	}
	return h
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
	return uuid, md
}
