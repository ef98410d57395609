package meter

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// The bounds of the buckets grow by a quarter of a power of two, so a quantile is at most a quarter
// too long. The first bucket has all that is faster than 256 ns, the last all that is slower than
// two minutes.
const (
	firstBit = 8  // 256 ns
	lastBit  = 37 // 137 s
	perBit   = 4
	buckets  = (lastBit-firstBit)*perBit + 2
)

// bucketOf returns the bucket of a duration.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	top := bits.Len64(n) - 1
	switch {
	case top < firstBit:
		return 0
	case top >= lastBit:
		return buckets - 1
	}
	return 1 + (top-firstBit)*perBit + int(n>>(top-2)&(perBit-1))
}

// bound is where a bucket ends.
func bound(bucket int) time.Duration {
	if bucket <= 0 {
		return 1 << firstBit
	}
	bucket = min(bucket, buckets-2) - 1
	top := firstBit + bucket/perBit
	return time.Duration(1)<<top + time.Duration(bucket%perBit+1)<<(top-2)
}

// histogram counts durations, without a lock and in constant memory.
type histogram [buckets]atomic.Int64

func (h *histogram) add(d time.Duration) { h[bucketOf(d)].Add(1) }

// A Latency is how long calls took: pairs of a bucket and how many calls are in it, without the
// buckets that are empty. Those of several processes can be added, and two of one process
// subtracted.
type Latency [][2]int64

func (h *histogram) read() (l Latency, calls int64) {
	for i := range h {
		if n := h[i].Load(); n > 0 {
			l = append(l, [2]int64{int64(i), n})
			calls += n
		}
	}
	return l, calls
}

// Add returns the sum of two.
func (l Latency) Add(more Latency) Latency {
	var sum [buckets]int64
	for _, part := range []Latency{l, more} {
		for _, b := range part {
			if b[0] >= 0 && b[0] < buckets {
				sum[b[0]] += b[1]
			}
		}
	}
	var out Latency
	for i, n := range sum {
		if n > 0 {
			out = append(out, [2]int64{int64(i), n})
		}
	}
	return out
}

// Quantile is the time in which the part q of the calls had ended, at most a quarter too long. 0:
// there were none.
func (l Latency) Quantile(q float64) time.Duration {
	var calls int64
	for _, b := range l {
		calls += b[1]
	}
	rank := int64(q*float64(calls) + 0.5)
	for _, b := range l {
		if rank -= b[1]; rank <= 0 {
			return bound(int(b[0]))
		}
	}
	return 0
}
