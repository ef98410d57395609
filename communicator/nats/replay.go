package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openmas/openmas/agent"
)

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
