//go:build unix

package runtime_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// BenchmarkMetrics is what a local call costs, the cheapest there is, without metrics, with them,
// and with a scraper that comes every second. Compare the medians of five runs, one after the
// other; on a busy machine those of the processor's time.
func BenchmarkMetrics(b *testing.B) {
	for _, name := range []string{"off", "on", "scraped"} {
		b.Run(name, func(b *testing.B) {
			cfg := &project.Config{Dir: b.TempDir(), Agents: map[string]project.Agent{"echo": {Type: "probe"}}}
			if name != "off" {
				cfg.Ops = &project.Ops{Listen: "127.0.0.1:0"}
			}
			r, err := runtime.New(cfg, types(nil), runtime.Options{Output: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- r.Run(ctx) }()
			<-r.Ready()
			var scraper sync.WaitGroup
			if name == "scraped" {
				scraper.Go(func() { scrapeEverySecond(ctx, b, r.Status().Ops+"/metrics") })
			}
			in := note{Text: "hi"}
			b.ReportAllocs()
			b.ResetTimer()
			before := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := agent.Ask[note](r.Context(ctx), "echo.say", in); err != nil {
						b.Error(err)
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			cancel()
			scraper.Wait()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}

func scrapeEverySecond(ctx context.Context, b *testing.B, url string) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			b.Error(err)
			return
		}
		res, err := client.Do(req)
		if err != nil {
			continue // it ends
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
