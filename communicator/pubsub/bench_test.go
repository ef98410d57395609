package pubsub

import (
	"context"
	"encoding/json"
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

var _ communicator.Service = service{}
