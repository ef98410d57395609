package nats

import (
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/bus"
)

// A DeadLetter is a durable event that an agent could not handle in any of its attempts.
type DeadLetter struct {
	// Seq names it in [Durable.Replay] and [Durable.Forget].
	Seq      uint64
	Agent    string
	Event    agent.Event
	Attempts int
	Reason   string
	At       time.Time
}

// The headers of a dead letter, besides those of its event.
const (
	deadAgent    = "dead-agent"
	deadAttempts = "dead-attempts"
	deadReason   = "dead-reason"
	deadHeaders  = "dead-"
)

func newDeadLetter(seq uint64, h natsgo.Header, data []byte, at time.Time) DeadLetter {
	uuid, md := metadata(h)
	p, err := bus.DecodeEvent(&message.Message{UUID: uuid, Metadata: md, Payload: data})
	if err != nil { // of no event of ours: what is known
		p.ID, p.Payload = uuid, data
	}
	for k := range p.Meta {
		if strings.HasPrefix(k, deadHeaders) {
			delete(p.Meta, k)
		}
	}
	n, _ := strconv.Atoi(h.Get(deadAttempts)) // 0 when somebody else wrote it
	return DeadLetter{Seq: seq, Agent: h.Get(deadAgent), Event: p, Attempts: n, Reason: h.Get(deadReason), At: at}
}
