package nats

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
)

// The contest: a call over NATS against a bare request with as many headers both ways, and one in
// memory against a bare request in process; interleaved, so that a busy machine is busy for all.
// p50-µs is at one caller, calls/s at 64. One round is a second and says little: -benchtime 7x and
// more.
func BenchmarkContest(b *testing.B) {
	br := testBroker(b)
	in, _ := json.Marshal(map[string]string{"text": strings.Repeat("x", 189)})
	over := func(d pubsub.Driver) func() error {
		serve(b, process(b, d), "echo", echo)
		p := dial(b, process(b, d), "echo")
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		b.Cleanup(cancel)
		return func() error {
			_, err := p.Call(ctx, &agent.Call{ID: "1f2e3d4c5b6a7", Op: agent.OpTool, Agent: "echo", Name: "echo",
				From: agent.Identity{Agent: "bench"}, Input: in, Attempt: 1})
			return err
		}
	}
	raw := func(headers bool, opts ...natsgo.Option) func() error {
		opts = append(opts, natsgo.UserInfo(br.access.User, br.access.Token),
			natsgo.CustomInboxPrefix("om.1.test.inbox"))
		var ends [2]*natsgo.Conn
		for i := range ends {
			nc, err := natsgo.Connect(br.access.URL, opts...)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(nc.Close)
			ends[i] = nc
		}
		subject := "om.1.test.bare." + map[bool]string{true: "h", false: "p"}[headers] + natsgo.NewInbox()[7:]
		if _, err := ends[0].Subscribe(subject, func(m *natsgo.Msg) {
			r := &natsgo.Msg{Subject: m.Reply, Data: m.Data}
			if headers {
				r.Header = natsgo.Header{"v": {"1"}, "kind": {"reply"}, "ref": {"3w5e11264sgsf-1"},
					"body": {"structured"}}
			}
			_ = m.RespondMsg(r)
		}); err != nil {
			b.Fatal(err)
		}
		if err := ends[0].Flush(); err != nil {
			b.Fatal(err)
		}
		return func() error {
			m := &natsgo.Msg{Subject: subject, Data: in}
			if headers {
				m.Header = natsgo.Header{"v": {"1"}, "kind": {"call"}, "ref": {"3w5e11264sgsf-1"},
					"reply-to": {"om.1.test.reply.3w5e11264sgsf"}, "op": {"tool"}, "agent": {"echo"},
					"name": {"echo"}, "id": {"1f2e3d4c5b6a7"}, "timeout": {"3600000"}, "sent": {"1750000000123"},
					"caller": {"bench"}}
			}
			_, err := ends[1].RequestMsg(m, time.Minute)
			return err
		}
	}
	// Callers and callees have connections of their own, as processes have.
	callee, caller := open(b, br.options()), open(b, br.options())
	serve(b, process(b, callee), "echo", echo)
	p := dial(b, process(b, caller), "echo")
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	memory := pubsub.NewMemory(pubsub.MemoryOptions{})
	b.Cleanup(func() { _ = memory.Close() })
	contestants := []struct {
		name string
		call func() error
	}{
		{"openmas over TCP", func() error {
			_, err := p.Call(ctx, &agent.Call{ID: "1f2e3d4c5b6a7", Op: agent.OpTool, Agent: "echo", Name: "echo",
				From: agent.Identity{Agent: "bench"}, Input: in, Attempt: 1})
			return err
		}},
		{"nats.RequestMsg over TCP", raw(true)},
		{"openmas in memory", over(memory)},
		{"nats.Request in process", raw(false, natsgo.InProcessServer(br))},
	}
	p50, rate := map[string][]float64{}, map[string][]float64{}
	for b.Loop() { // a round
		for _, c := range contestants {
			const calls = 2000
			took := make([]time.Duration, calls)
			for i := range took {
				began := time.Now()
				if err := c.call(); err != nil {
					b.Fatal(c.name, err)
				}
				took[i] = time.Since(began)
			}
			slices.Sort(took)
			p50[c.name] = append(p50[c.name], float64(took[calls/2])/1e3)
			const callers, each = 64, 300
			var all sync.WaitGroup
			began := time.Now()
			for range callers {
				all.Go(func() {
					for range each {
						if err := c.call(); err != nil {
							b.Error(c.name, err)
						}
					}
				})
			}
			all.Wait()
			rate[c.name] = append(rate[c.name], callers*each/time.Since(began).Seconds())
		}
	}
	median := func(v []float64) float64 {
		slices.Sort(v)
		return v[len(v)/2]
	}
	for _, c := range contestants {
		b.Logf("%-26s p50 %6.1f µs   64 callers %7.0f calls/s", c.name, median(p50[c.name]), median(rate[c.name]))
	}
	ratio := func(m map[string][]float64, one, other int) float64 {
		return median(m[contestants[one].name]) / median(m[contestants[other].name])
	}
	b.ReportMetric(ratio(p50, 0, 1), "tcp-p50-ratio")
	b.ReportMetric(ratio(rate, 0, 1), "tcp-rate-ratio")
	b.ReportMetric(ratio(p50, 2, 3), "memory-p50-ratio")
}
