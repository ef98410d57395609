package nats

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// deadLetter moves an event to the stream of dead letters. A process that dies halfway leaves it to
// another, and the broker drops the second of two equal dead letters.
func (s *durableSubscription) deadLetter(d *durableEvent, reason error) error {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(reason.Error(), "?")), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + " ..."
	}
	h := maps.Clone(d.raw.Headers())
	for k := range h {
		if strings.HasPrefix(k, "Nats-") {
			delete(h, k)
		}
	}
	if h == nil {
		h = natsgo.Header{}
	}
	h.Set(deadAgent, s.group)
	h.Set(deadAttempts, strconv.Itoa(d.attempt))
	h.Set(deadReason, text)
	meta, err := d.raw.Metadata()
	if err != nil {
		return err
	}
	id := fmt.Sprintf("%s/%d/%s", s.group, meta.Sequence.Stream, meta.Timestamp.Format(time.RFC3339Nano))
	if err := s.v.storeMsg(context.Background(), &natsgo.Msg{Subject: s.v.deadPrefix + s.group + "." + s.topic,
		Header: h,
		Data:   d.raw.Data()}, id); err != nil {
		return err
	}
	s.settle(d, d.raw.Term())
	dead := newDeadLetter(0, h, d.raw.Data(), time.Now())
	dead.Event.Topic = s.topic
	s.v.o.OnDeadLetter(dead)
	return nil
}

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

// DeadLetters returns the dead letters of an agent and a topic, or of all where that is empty: at
// most limit, the oldest first, from the number from on.
func (v *Durable) DeadLetters(ctx context.Context, agentName, topic string, from uint64, limit int) ([]DeadLetter,
	error) {
	stream, err := v.js.Stream(ctx, v.deadStream)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", v.d.o.redact(err))
	}
	subject := v.deadPrefix + "*."
	if agentName != "" {
		if err := agent.CheckAgentName(agentName); err != nil {
			return nil, err
		}
		subject = v.deadPrefix + agentName + "."
	}
	if topic == "" {
		subject += ">"
	} else if err := agent.CheckTopic(topic); err != nil {
		return nil, err
	} else {
		subject += topic
	}
	var all []DeadLetter
	for seq := max(from, 1); len(all) < limit; {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list dead letters: %w", v.d.o.redact(err))
		}
		all = append(all, newDeadLetter(m.Sequence, m.Header, m.Data, m.Time))
		seq = m.Sequence + 1
	}
	return all, nil
}

// Replay publishes dead letters again, for the agents that could not handle them, as new events
// with their old IDs. It returns how many it published before an error.
func (v *Durable) Replay(ctx context.Context, seqs ...uint64) (int, error) {
	return v.each(ctx, "replay", seqs, func(stream jetstream.Stream, m *jetstream.RawStreamMsg) error {
		to, ok := strings.CutPrefix(m.Subject, v.deadPrefix)
		if !ok {
			return fmt.Errorf("its subject is %s", m.Subject)
		}
		h := natsgo.Header{}
		for k, values := range m.Header {
			if !strings.HasPrefix(k, "Nats-") && !strings.HasPrefix(k, deadHeaders) {
				h[k] = values
			}
		}
		id := fmt.Sprintf("replay/%d/%s", m.Sequence, m.Time.Format(time.RFC3339Nano))
		if err := v.storeMsg(ctx, &natsgo.Msg{Subject: v.replayPrefix + to, Header: h, Data: m.Data}, id); err != nil {
			return err
		}
		return stream.DeleteMsg(ctx, m.Sequence)
	})
}

// Forget deletes dead letters. It returns how many it deleted before an error.
func (v *Durable) Forget(ctx context.Context, seqs ...uint64) (int, error) {
	return v.each(ctx, "forget", seqs, func(stream jetstream.Stream, m *jetstream.RawStreamMsg) error {
		return stream.DeleteMsg(ctx, m.Sequence)
	})
}

func (v *Durable) each(ctx context.Context, verb string, seqs []uint64,
	do func(jetstream.Stream, *jetstream.RawStreamMsg) error) (int, error) {
	stream, err := v.js.Stream(ctx, v.deadStream)
	if err != nil {
		return 0, fmt.Errorf("%s dead letters: %w", verb, v.d.o.redact(err))
	}
	for i, seq := range seqs {
		m, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return i, agent.Errorf(agent.CodeNotFound, "%s dead letter %d: there is none", verb, seq)
		}
		if err == nil {
			err = do(stream, m)
		}
		if err != nil {
			return i, fmt.Errorf("%s dead letter %d: %w", verb, seq, v.d.o.redact(err))
		}
	}
	return len(seqs), nil
}
