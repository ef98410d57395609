package runtime_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// BenchmarkCommunicators is what one call costs over each communicator, through the whole runtime:
// policy, directory, retry, and the way there and back.
func BenchmarkCommunicators(b *testing.B) {
	in := note{Text: strings.Repeat("x", 200)}
	for _, over := range overs {
		for name, callers := range map[string]int{"1 caller": 0, "64 callers": 32} { // callers per core
			b.Run(over+"/"+name, func(b *testing.B) {
				cfg := &project.Config{Dir: b.TempDir(),
					Agents: map[string]project.Agent{"echo": {Type: "probe", Communicator: over}}}
				r, err := runtime.New(cfg, types(nil), runtime.Options{Output: io.Discard, Mode: runtime.ModePassive})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan error, 1)
				go func() { done <- r.Run(ctx) }()
				<-r.Ready()
				call := func(ctx context.Context) {
					if _, err := agent.Ask[note](r.Context(ctx),
						"echo.say", in); err != nil {
						b.Error(err)
					}
				}
				call(b.Context())
				b.ReportAllocs()
				if callers == 0 {
					for b.Loop() {
						call(b.Context())
					}
				} else {
					b.SetParallelism(callers)
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							call(b.Context())
						}
					})
				}
				b.StopTimer()
				cancel()
				if err := <-done; err != nil {
					b.Error(err)
				}
			})
		}
	}
}
