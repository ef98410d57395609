package nats

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/openmas/openmas/agent"
)

// A backlog of durable events, handled by one agent: what it costs to ask for each.
func BenchmarkDurableBacklog(b *testing.B) {
	v := durable(b, open(b, testBroker(b).options()), DurableOptions{})
	payload := json.RawMessage(`{"path":"a/b/c.go"}`)
	for i := range b.N {
		keep(b, v, agent.Event{ID: strconv.Itoa(i), Topic: "file.found", Payload: payload})
	}
	handled := make(chan struct{}, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	listen(b, v, "editor", "file.found", func(context.Context, agent.Event, int) error {
		handled <- struct{}{}
		return nil
	})
	for range b.N {
		<-handled
	}
}

// One durable event after the other: published, handled, and then the next.
func BenchmarkDurableLatency(b *testing.B) {
	v := durable(b, open(b, testBroker(b).options()), DurableOptions{})
	handled := make(chan struct{})
	listen(b, v, "editor", "file.found", func(context.Context, agent.Event, int) error {
		handled <- struct{}{}
		return nil
	})
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		keep(b, v, agent.Event{ID: strconv.Itoa(i), Topic: "file.found"})
		<-handled
	}
}
