package pattern_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/agent/pattern"
)

// world is what a cleaner believes.
type world struct {
	Dirty   bool
	Battery int
	Broken  int
}

// cleaner cleans what it is told is dirty, while its battery lasts.
type cleaner struct {
	*pattern.BDI[world]
	mu    sync.Mutex
	diary []string
	err   error
}

func newCleaner() *cleaner {
	c := &cleaner{}
	c.BDI = pattern.NewBDI(world{Battery: 100}, func(w world) *pattern.Intention[world] {
		switch {
		case w.Battery < 20:
			return &pattern.Intention[world]{Name: "charge", Steps: []pattern.IntentionStep[world]{
				{Name: "plug", Do: c.act("plug", time.Hour, func(w *world) { w.Battery = 100 })}}}
		case w.Dirty:
			return &pattern.Intention[world]{Name: "clean", Steps: []pattern.IntentionStep[world]{
				{Name: "drive", Do: c.act("drive", time.Minute, nil)},
				{Name: "suck", Do: c.act("suck", 10*time.Minute, func(w *world) { w.Dirty = false })},
			}, Holds: func(w world) bool { return w.Battery >= 20 && w.Dirty },
				Failed: func(w *world, _ string, _ error) { w.Broken++ }}
		}
		return nil
	})
	return c
}

func (c *cleaner) act(name string, takes time.Duration, then func(*world)) func(context.Context, world) error {
	return func(ctx context.Context, _ world) error {
		c.write(name)
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			c.write(name + " ended: " + context.Cause(ctx).Error())
			return ctx.Err()
		}
		if c.err != nil {
			return c.err
		}
		if then != nil {
			c.Believe(then)
		}
		return nil
	}
}

func (c *cleaner) write(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.diary = append(c.diary, what)
}

func (c *cleaner) read() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.diary)
}

func (c *cleaner) Capabilities() agent.Capabilities {
	return agent.Capabilities{Subscriptions: []agent.Subscription{
		pattern.Perceive(c.BDI, "floor", func(w *world, dirty bool) { w.Dirty = dirty })}}
}

// It acts on what it perceives, drops an intention in the middle of a step when it must do
// something else, and takes it up again.
func TestBDI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCleaner()
		sys := agenttest.Run(t, agenttest.Agents{"cleaner": c})
		if err := agent.Publish(sys.Ctx(), "floor", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if c.Doing() != "clean/suck" {
			t.Errorf("it is %s", c.Doing())
		}
		c.Believe(func(w *world) { w.Battery = 10 })
		time.Sleep(30 * time.Minute)
		if c.Doing() != "charge/plug" {
			t.Errorf("it is %s", c.Doing())
		}
		time.Sleep(time.Hour)
		want := []string{"drive", "suck", "suck ended: " + pattern.ErrDropped.Error(), "plug", "drive", "suck"}
		if got := c.read(); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if w := c.Beliefs(); w.Dirty || w.Battery != 100 || w.Broken != 0 || c.Doing() != "" {
			t.Errorf("%+v, %s", w, c.Doing())
		}
	})
}

// An intention that fails is tried again with growing waits, as long as it is still intended.
func TestAnIntentionThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCleaner()
		c.err = errors.New("no power")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		c.Believe(func(w *world) { w.Dirty = true })
		time.Sleep(24 * time.Hour)
		// a minute of driving and 30 s of rest each, but for the first rests
		if n := c.Beliefs().Broken; n < 900 || n > 1000 {
			t.Errorf("it failed %d times in a day", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A step that panics has failed; the loop goes on.
func TestAStepThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		b := pattern.NewBDI(0, func(n int) *pattern.Intention[int] {
			if n > 0 {
				return nil
			}
			return &pattern.Intention[int]{Name: "x", Steps: []pattern.IntentionStep[int]{{Name: "y",
				Do: func(context.Context, int) error { panic("boom") }}},
				Failed: func(n *int, _ string, err error) { *n, failed = 1, err }}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := b.Run(ctx); err != nil || agent.CodeOf(failed) != agent.CodeInternal {
			t.Error(err, failed)
		}
	})
}
