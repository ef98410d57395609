package agenttest

import (
	"context"
	"slices"
	"sync"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
)

// maxDeliveries bounds the deliveries under way, as a broker does.
const maxDeliveries = 1024

// broker delivers each event to every listener, concurrently; events of one topic and key in order.
type broker struct {
	sys *System

	mu        sync.Mutex
	hosts     []*agent.Host
	published []agent.Event
	underWay  int
	idle      chan struct{}            // closed when underWay is 0 again; nil while it is
	tails     map[string]chan struct{} // by listener, topic and key: the last delivery's end
	closed    bool
	wg        conc.WaitGroup
}

func (b *broker) listen(h *agent.Host) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hosts = append(b.hosts, h)
}

// Publish implements [agent.Publisher].
func (b *broker) Publish(ctx context.Context, p agent.Event) error {
	if err := ctx.Err(); err != nil {
		return agent.Refusedf(agent.CodeOf(err), "publish %q: %w", p.Topic, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return agent.Refusedf(agent.CodeUnavailable, "publish %q: the system is closed", p.Topic)
	}
	if b.underWay >= maxDeliveries {
		return agent.Refusedf(agent.CodeResourceExhausted, "publish %q: %d deliveries are under way", p.Topic,
			b.underWay)
	}
	b.published = append(b.published, p)
	for _, h := range b.hosts {
		if slices.Contains(h.Info().Subscriptions, agent.SubscriptionInfo{Topic: p.Topic}) {
			b.deliver(h, p)
		}
	}
	return nil
}

func (b *broker) deliver(h *agent.Host, p agent.Event) {
	if b.underWay++; b.idle == nil {
		b.idle = make(chan struct{})
	}
	var before, done chan struct{}
	queue := h.Info().Name + " " + p.Topic + " " + p.Key
	if p.Key != "" {
		if b.tails == nil {
			b.tails = map[string]chan struct{}{}
		}
		before, done = b.tails[queue], make(chan struct{})
		b.tails[queue] = done
	}
	b.wg.Go(func() {
		if before != nil {
			<-before
		}
		c := &agent.Call{ID: p.ID, Op: agent.OpEvent, Agent: h.Info().Name, Name: p.Topic, Input: p.Payload,
			Caller: p.Source, Key: p.Key, Attempt: 1, Meta: p.Meta}
		// a delivery outlives the call that published, and ends with the system
		if _, err := b.sys.rec.record(b.sys.ctx, c, h); err != nil {
			h.Env().Logger.Warn("an event was not handled", "topic", p.Topic, "event", p.ID, "error", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if done != nil {
			close(done)
			if b.tails[queue] == done {
				delete(b.tails, queue)
			}
		}
		if b.underWay--; b.underWay == 0 {
			close(b.idle)
			b.idle = nil
		}
	})
}

func (b *broker) settle() {
	for {
		b.mu.Lock()
		idle := b.idle
		b.mu.Unlock()
		if idle == nil {
			return
		}
		<-idle
	}
}

// close refuses what is published from now on and waits for the deliveries.
func (b *broker) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.wg.Wait()
}

// Settle waits until every event published so far, and every one that its handling published in
// turn, has been handled.
func (s *System) Settle() { s.broker.settle() }

// Published are the events of the topic so far, or of all topics without one, in order.
func (s *System) Published(topic ...string) []agent.Event {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	var out []agent.Event
	for _, p := range s.broker.published {
		if len(topic) == 0 || slices.Contains(topic, p.Topic) {
			out = append(out, p)
		}
	}
	return out
}
