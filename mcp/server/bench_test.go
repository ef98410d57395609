package server

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
)

// BenchmarkFastPath calls a tool over each HTTP transport, both ends in this process.
// internal/bench compares with others.
func BenchmarkFastPath(b *testing.B) {
	for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		for _, off := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/fast=%v", tr, !off), func(b *testing.B) { benchmarkHTTP(b, tr, off) })
		}
	}
}

func benchmarkHTTP(b *testing.B, tr mcp.Transport, off bool) {
	var base string
	h := newComm(b, tr, func() string { return base }, Options{Logger: fixture.Quiet, NoFastPath: off})
	host, err := agent.NewHost(agent.Env{Name: "echo", Logger: fixture.Quiet}, fixture.EchoCaps(fixture.NewProbe()))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := h.Serve(b.Context(), host); err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	base = srv.URL
	p, err := h.Dial(b.Context(), "echo")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := p.Call(b.Context(), &agent.Call{ID: "c1", Op: agent.OpTool, Agent: "echo", Name: "say",
				Input: json.RawMessage(`{"word":"hello"}`), From: agent.Identity{Agent: "bench"}, Attempt: 1})
			if err != nil || string(res.Structured) != `{"echoed":"hello"}` {
				b.Error(res, err)
				return
			}
		}
	})
	if err := h.Close(b.Context()); err != nil {
		b.Error(err)
	}
}
