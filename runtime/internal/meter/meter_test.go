package meter

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/openmas/openmas/agent"
)

func offered(string) bool { return true }

// A quantile is the upper bound of a bucket: the duration, or up to a quarter more.
func TestQuantile(t *testing.T) {
	for d := 300 * time.Nanosecond; d < 2*time.Minute; d = d * 17 / 13 {
		got := Latency{{int64(bucketOf(d)), 1}}.Quantile(0.5)
		if got < d || float64(got) > float64(d)*1.26 {
			t.Errorf("%v: %v", d, got)
		}
	}
	for d, want := range map[time.Duration]int{-1: 0, 0: 0, 255: 0, 256: 1, 1 << 37: buckets - 1,
		1<<63 - 1: buckets - 1} {
		if got := bucketOf(d); got != want {
			t.Errorf("bucket of %d: %d, want %d", d, got, want)
		}
	}
	if got := (Latency)(nil).Quantile(0.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	l := Latency{{5, 98}}.Add(Latency{{5, 1}, {60, 1}, {4000, 7}})
	if l.Quantile(0.5) != bound(5) || l.Quantile(0.99) != bound(5) || l.Quantile(1) != bound(60) {
		t.Errorf("%v: %v, %v, %v", l, l.Quantile(0.5), l.Quantile(0.99), l.Quantile(1))
	}
}

func TestMeter(t *testing.T) {
	var m Meter
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 1000 {
				name := fmt.Sprintf("t%d", i%3)
				tool := m.Tool(name, offered)
				tool.Begin()
				var err error
				if n == 0 && i == 999 {
					err = agent.Errorf(agent.CodeUnavailable, "x%s", strings.Repeat("é", maxMessage))
				}
				m.End(tool, name, time.Millisecond, err)
			}
		})
	}
	all.Wait()
	counts, last := m.Read()
	var calls, failures int64
	for _, c := range counts {
		calls += c.Calls
		failures += c.Failures
		if c.InFlight != 0 || c.Busy != time.Duration(c.Calls)*time.Millisecond {
			t.Errorf("%+v", c)
		}
	}
	if len(counts) != 3 || calls != 8000 || failures != 1 {
		t.Errorf("%d tools, %d calls, %d failures", len(counts), calls, failures)
	}
	if last == nil || last.Tool != "t0" || last.Code != agent.CodeUnavailable || len(last.Message) > maxMessage+30 ||
		!utf8.ValidString(last.Message) {
		t.Errorf("the last failure: %+v", last)
	}
}

// Callers can make up names: they cost no memory.
func TestMeterIsBounded(t *testing.T) {
	var m Meter
	for i := range 3 * maxTools {
		name := fmt.Sprint(i)
		tool := m.Tool(name, func(string) bool { return i >= maxTools })
		tool.Begin()
		m.End(tool, name, time.Second, nil)
	}
	if counts, _ := m.Read(); len(counts) != maxTools+1 || counts[0].Tool != "" || counts[0].Calls != 2*maxTools {
		t.Errorf("%d tools, %+v", len(counts), counts[0])
	}
}

func BenchmarkMeter(b *testing.B) {
	var m Meter
	for b.Loop() {
		tool := m.Tool("forecast", offered)
		tool.Begin()
		m.End(tool, "forecast", 1234*time.Microsecond, nil)
	}
}
