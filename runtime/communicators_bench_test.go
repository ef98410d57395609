package runtime_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// BenchmarkCommunicators is what one call costs over each communicator, through the whole runtime:
// policy, directory, retry, and the way there and back. Besides the mean it reports how long half
// of the calls took at most, and 99 of 100.
func BenchmarkCommunicators(b *testing.B) {
	for _, over := range overs {
		for name, callers := range map[string]int{"1 caller": 0, "64 callers": 32} { // callers per core
			b.Run(over+"/"+name, func(b *testing.B) {
				cfg := &project.Config{Dir: b.TempDir(),
					Agents: map[string]project.Agent{"echo": {Type: "probe", Communicator: over}}}
				call := startEcho(b, cfg)
				var mu sync.Mutex
				var took []time.Duration
				timed := func(all *[]time.Duration) {
					began := time.Now()
					call()
					*all = append(*all, time.Since(began))
				}
				b.ReportAllocs()
				if callers == 0 {
					for b.Loop() {
						timed(&took)
					}
				} else {
					b.SetParallelism(callers)
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) {
						var own []time.Duration
						for pb.Next() {
							timed(&own)
						}
						mu.Lock()
						defer mu.Unlock()
						took = append(took, own...)
					})
				}
				b.StopTimer()
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2])/1e3, "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-µs")
			})
		}
	}
}

// startEcho runs a system with the agent echo, and returns a call of it, of which one was made.
func startEcho(b *testing.B, cfg *project.Config) (call func()) {
	b.Helper()
	r, err := runtime.New(cfg, types(nil), runtime.Options{Output: io.Discard, Mode: runtime.ModePassive})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Ready()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	in := note{Text: strings.Repeat("x", 200)}
	call = func() {
		if _, err := agent.Ask[note](r.Context(b.Context()), "echo.say", in); err != nil {
			b.Error(err)
		}
	}
	call()
	return call
}

// BenchmarkTracing is what tracing adds to a call: three systems take turns, of which one makes no
// spans, one samples none and one records all. The figures are medians, in nanoseconds.
func BenchmarkTracing(b *testing.B) {
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	b.Cleanup(receiver.Close)
	for _, over := range overs {
		b.Run(over, func(b *testing.B) {
			names := []string{"off", "sampled-out", "recorded"}
			var calls []func()
			for i, sampler := range []string{"", "parentbased_always_off", "parentbased_always_on"} {
				cfg := &project.Config{Dir: b.TempDir(),
					Agents: map[string]project.Agent{"echo": {Type: "probe", Communicator: over}}}
				if i > 0 {
					cfg.Telemetry.Endpoint = receiver.URL
					b.Setenv("OTEL_TRACES_SAMPLER", sampler) // read by the first call, and by the child at its start
				}
				calls = append(calls, startEcho(b, cfg))
			}
			took := make([][]time.Duration, len(calls))
			for b.Loop() {
				for i, call := range calls {
					began := time.Now()
					call()
					took[i] = append(took[i], time.Since(began))
				}
			}
			for i, all := range took {
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2]), names[i]+"-ns")
			}
		})
	}
}
