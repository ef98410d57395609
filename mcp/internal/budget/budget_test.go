package budget

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestBudget(t *testing.T) {
	all := New("limits.memory", 100_000)
	part := all.Part("outside of sessions", 25_000)
	one, other := all.Session("limits.session_memory", 10_000), all.Session("limits.session_memory", 10_000)
	must := func(b *Budget, n int) {
		t.Helper()
		if err := b.Acquire(n); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(b *Budget, n int, key string) {
		t.Helper()
		if err := (*ExhaustedError)(nil); !errors.As(b.Acquire(n), &err) || err.Key != key {
			t.Fatalf("%d bytes: %v, not %s", n, err, key)
		}
	}
	must(part, 20_000)
	refused(part, 6_000, "limits.memory") // all or none
	must(one, 9_999)
	must(one, 50_000) // any payload fits while something is left
	refused(one, 5_000, "limits.session_memory")
	refused(one, 1, "limits.session_memory")
	must(other, 1) // small ones cost nothing
	refused(other, 21_000, "limits.memory")
	must(other, 20_000)
	refused(other, 1, "limits.session_memory")
	if got := all.Used(); got != 99_999 {
		t.Errorf("%d bytes", got)
	}
	one.Hand(50_000)
	refused(one, 5_000, "limits.session_memory") // in between it is nobody else's
	one.Take(50_100)
	if got := all.Used(); got != 99_999+100 {
		t.Errorf("%d bytes after one was handed on", got)
	}
	one.Release(50_100)
	one.Close()
	one.Close()
	one.Release(9_999)
	other.Release(20_000)
	part.Release(20_000)
	if got := all.Used(); got != 0 {
		t.Errorf("%d bytes are left", got)
	}
	for _, none := range []*Budget{nil, (*Budget)(nil).Session("", 1), (*Budget)(nil).Part("", 1)} {
		must(none, 1<<40)
		none.Take(1 << 40)
		none.Hand(1 << 40)
		none.Release(1 << 40)
		none.Close()
	}
}

// Whatever happens at once, nothing is lost, and the strict bound holds.
func TestBudgetAtOnce(t *testing.T) {
	all := New("limits.memory", 1<<20)
	var wg sync.WaitGroup
	for range 20 {
		b := all.Session("limits.session_memory", 64<<10)
		for range 4 {
			wg.Go(func() {
				for range 500 {
					n := rand.IntN(32 << 10)
					if b.Acquire(n) != nil {
						continue
					}
					if all.Used() > 1<<20 {
						t.Error("more than there is")
					}
					b.Hand(n)
					b.Take(n)
					b.Release(n)
				}
			})
		}
		wg.Go(b.Close)
	}
	wg.Wait()
	if n := all.Used(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}

func TestRead(t *testing.T) {
	for _, n := range []int{0, 1, Small, firstRead - 1, firstRead, firstRead + 1, 300_000, 5 << 20} {
		want := []byte(strings.Repeat("abcdefg", n/7+1)[:n])
		for _, size := range []int{n, -1} {
			for name, r := range map[string]io.Reader{"at once": bytes.NewReader(want),
				"in halves":    iotest.HalfReader(bytes.NewReader(want)),
				"with its end": iotest.DataErrReader(bytes.NewReader(want))} {
				b := New("limits.memory", 16<<20)
				got, held, err := b.Read(r, size)
				if err != nil || !bytes.Equal(got, want) || int64(held) != b.Used() && held >= Small {
					t.Errorf("%d bytes of %d %s: %d, held %d of %d, %v", n, size, name, len(got), held, b.Used(), err)
				}
				b.Release(held)
				if n := b.Used(); n != 0 {
					t.Errorf("%d bytes of %d %s: %d are left", n, size, name, n)
				}
			}
		}
	}
	b := New("limits.memory", 100_000)
	_, held, err := b.Read(strings.NewReader(strings.Repeat("x", 200_000)), 200_000)
	if exhausted := (*ExhaustedError)(nil); !errors.As(err, &exhausted) {
		t.Errorf("too much: %v", err)
	}
	b.Release(held)
	_, held, err = b.Read(strings.NewReader(strings.Repeat("x", 40_000)), 50_000)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("less than was said: %v", err)
	}
	b.Release(held)
	if n := b.Used(); n != 0 {
		t.Errorf("%d bytes are left", n)
	}
}
