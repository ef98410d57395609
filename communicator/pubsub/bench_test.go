package pubsub

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// benchmarkCall measures an echo of 200 bytes with a deadline.
func benchmarkCall(b *testing.B, d Driver, callers int) {
	c, err := New(d, Options{Project: "bench", MaxInFlight: 128})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Serve(b.Context(), service{"echo", func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		return &agent.Result{Structured: c.Input}, nil
	}}); err != nil {
		b.Fatal(err)
	}
	p, err := c.Dial(b.Context(), "echo")
	if err != nil {
		b.Fatal(err)
	}
	in, _ := json.Marshal(map[string]string{"text": strings.Repeat("x", 189)})
	ctx, cancel := context.WithTimeout(b.Context(), 1<<40)
	defer cancel()
	call := func() {
		res, err := p.Call(ctx, &agent.Call{ID: "1f2e3d4c5b6a7", Op: agent.OpTool, Agent: "echo", Name: "echo",
			From: agent.Identity{Agent: "bench"}, Input: in, Attempt: 1})
		if err != nil || len(res.Structured) != len(in) {
			b.Error(res, err)
		}
	}
	b.ReportAllocs()
	if callers == 1 {
		for b.Loop() {
			call()
		}
		return
	}
	b.SetParallelism(callers)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			call()
		}
	})
}

func BenchmarkCall(b *testing.B)          { benchmarkCall(b, NewMemory(MemoryOptions{}), 1) }
func BenchmarkCall64Callers(b *testing.B) { benchmarkCall(b, NewMemory(MemoryOptions{}), 32) }
func BenchmarkCallChannel(b *testing.B)   { benchmarkCall(b, plain{NewMemory(MemoryOptions{})}, 1) }
func BenchmarkCallChannel64(b *testing.B) { benchmarkCall(b, plain{NewMemory(MemoryOptions{})}, 32) }

// BenchmarkEvent publishes an event and waits for its one handler.
func BenchmarkEvent(b *testing.B) {
	e, err := NewEvents(NewMemory(MemoryOptions{}), EventsOptions{Project: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- e.Run(context.Background()) }()
	handled := make(chan struct{}, 1)
	if _, err := e.Subscribe("editor", "file.found", func(context.Context, agent.Event, int) error {
		handled <- struct{}{}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	payload := json.RawMessage(`{"path":"a/b/c.go"}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Publish(b.Context(), agent.Event{ID: "1f2e3d4c5b6a7", Topic: "file.found", Source: "bench",
			Payload: payload}); err != nil {
			b.Fatal(err)
		}
		<-handled
	}
	if err := errors.Join(e.Close(context.Background()), <-ran); err != nil {
		b.Error(err)
	}
}

var _ communicator.Service = service{}
