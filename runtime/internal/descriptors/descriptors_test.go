package descriptors

import (
	"math"
	"runtime"
	"testing"
)

func TestRoom(t *testing.T) {
	for _, c := range []struct {
		limit     uint64
		instances int
		want      int
	}{{120, 3, 16}, {1024, 0, 480}, {1024, 100, 80}, {16, 9, fewest}} {
		if got := room(c.limit, c.instances); got != c.want {
			t.Errorf("%d descriptors and %d instances: %d sessions, want %d", c.limit, c.instances, got, c.want)
		}
	}
	if got := room(math.MaxUint64, 1); got < 1<<28 {
		t.Errorf("without a limit: %d", got)
	}
	if n, of, ok := Sessions(1); runtime.GOOS != "windows" && (!ok || n < fewest || of == 0) {
		t.Errorf("%d sessions of %d, %v", n, of, ok)
	}
}
