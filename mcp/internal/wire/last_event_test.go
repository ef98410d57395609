package wire

import (
	"testing"
	"time"
)

func TestResumeDelay(t *testing.T) {
	for _, c := range []struct {
		retry time.Duration
		tries int
		want  time.Duration
	}{
		{0, 0, time.Second}, {0, 4, 16 * time.Second}, {time.Millisecond, 3, 8 * time.Millisecond},
		{2 * time.Minute, 0, 2 * time.Minute}, {2 * time.Minute, 4, maxDelay},
		{24 * 24 * time.Hour, 0, maxDelay}, {1<<63 - 1, 4, maxDelay},
	} {
		if got := (&LastEvent{Retry: c.retry}).waits().Wait(c.tries + 1); got != c.want {
			t.Errorf("after %d tries, with retry %v: %v, want %v", c.tries, c.retry, got, c.want)
		}
	}
}
