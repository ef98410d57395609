package client

import (
	"encoding/json"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
)

// BenchmarkCall calls a tool of a program with the stock SDK: the allocations are the client's
// alone. internal/bench compares with others.
func BenchmarkCall(b *testing.B) {
	for name, transport := range map[string]mcp.Transport{"server": mcp.Stdio, "sse": mcp.SSE, "http": mcp.Streamable} {
		b.Run(string(transport), func(b *testing.B) {
			s := mustConnect(b, role(b, name, transport), Options{})
			c := &agent.Call{ID: "c1", Op: agent.OpTool, Agent: "fixture", Name: "echo",
				Input: json.RawMessage(`{"text":"hello"}`), From: agent.Identity{Agent: "bench"}, Attempt: 1}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Call(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
