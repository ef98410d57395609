package runtime

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/internal/route"
	"github.com/openmas/openmas/runtime/project"
)

// closing is a session of which only the end matters.
type closing struct {
	communicator.Peer
	closed atomic.Int64
}

func (*closing) Info() agent.Info { return agent.Info{Name: "late"} }

func (c *closing) Close(context.Context) error { c.closed.Add(1); return nil }

// A session that comes at the moment in which its agent is stopped is closed.
func TestASessionThatComesTooLate(t *testing.T) {
	cfg := &project.Config{Agents: map[string]project.Agent{"late": {Command: []string{"late"}}}}
	r, err := New(cfg, nil, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	pool := route.NewPool("late", 1)
	d := &deployment{planned: planned{name: "late", of: r.cfg, kind: project.KindCommand, cfg: r.cfg.Agents["late"],
		arrival: newArrival(1, false)}}
	peer, dialing := &closing{}, make(chan struct{})
	dial := func(ctx context.Context) (communicator.Peer, error) {
		close(dialing)
		<-ctx.Done()
		return peer, nil
	}
	if _, err := r.openSession(t.Context(), t.Context(), d, pool, 0, dial); err != nil {
		t.Fatal(err)
	}
	<-dialing
	if err := d.undo.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if n := peer.closed.Load(); n != 1 {
		t.Errorf("it was closed %d times", n)
	}
}

// A program that fails in the same way at each start has its traceback in the log once.
func TestATracebackIsToldOnce(t *testing.T) {
	var log testkit.Buffer
	r := &Runtime{log: slog.New(slog.NewTextHandler(&log, nil))}
	add := r.childLog("py", "py/0", false)
	for range 3 {
		for _, line := range []string{"Traceback (most recent call last):", `  File "x.py"`, "ImportError: none"} {
			add([]byte(line))
		}
	}
	if text := log.String(); strings.Count(text, "x.py") != 1 || strings.Count(text, `stack="as before"`) != 2 ||
		strings.Count(text, `msg="ImportError: none"`) != 3 {
		t.Error(text)
	}
}

// brief is a session that ends at once, or when the test says so.
type brief struct {
	closing
	done chan struct{}
}

func (b *brief) Done() <-chan struct{} { return b.done }
func (b *brief) Err() error            { return errors.New("thrown out") }

// A server that ends each session as soon as it has begun is not asked for a new one all the time.
func TestSessionsThatEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := &project.Config{Agents: map[string]project.Agent{"hasty": {URL: "http://127.0.0.1:1/mcp"}}}
		r, err := New(cfg, nil, Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		d := &deployment{planned: planned{name: "hasty", of: r.cfg, kind: project.KindURL, cfg: r.cfg.Agents["hasty"]}}
		ended := make(chan struct{})
		close(ended)
		var dials atomic.Int64
		healthy := make(chan struct{})
		dial := func(context.Context) (communicator.Peer, error) {
			if n := dials.Add(1); n == 15 {
				return &brief{done: healthy}, nil
			}
			return &brief{done: ended}, nil
		}
		if _, err := r.openSession(t.Context(), t.Context(), d, route.NewPool("hasty", 1), 0, dial); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := dials.Load(); n != 2 {
			t.Errorf("%d sessions at once, want the first and one more", n)
		}
		time.Sleep(5 * time.Minute)
		if n := dials.Load(); n != 15 {
			t.Errorf("%d sessions in five minutes", n)
		}
		close(healthy) // after one that has lasted it is as at the beginning
		synctest.Wait()
		if n := dials.Load(); n != 17 {
			t.Errorf("%d sessions", n)
		}
		if err := d.undo.Run(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A program that ran, and cannot be started again since no files are left, is tried until it can,
// and never counted as failed: the project allows no restart that fails.
func TestNoFilesLeftToStartAProgram(t *testing.T) {
	var log testkit.Buffer
	cfg := &project.Config{Agents: map[string]project.Agent{"docs": {Command: []string{"docs"}}},
		Restart:   project.Restart{Limit: 1, GiveUpAfter: 1, Window: time.Hour, Backoff: time.Millisecond},
		Reconnect: project.Reconnect{Initial: time.Millisecond, Max: time.Millisecond}}
	r, err := New(cfg, nil, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	peer, dials := &closing{}, 0
	s := &session{r: r, agent: planned{name: "docs", of: r.cfg, kind: project.KindCommand, cfg: r.cfg.Agents["docs"]},
		pool: route.NewPool("docs", 1), dial: func(context.Context) (communicator.Peer, error) {
			if dials++; dials < 20 {
				return nil, agent.Refusedf(agent.CodeResourceExhausted, "%w", &client.ConnectError{Target: "docs",
					Reason: client.ReasonExhausted, Err: syscall.EMFILE})
			}
			return peer, nil
		}}
	s.instance = s.pool.Instances()[0]
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.restart(ctx)
	}()
	testkit.Eventually(t, "it is there", func() bool { return s.instance.Look().State == route.Ready })
	cancel()
	<-over
	if n := s.instance.Restarts(); n != 0 || dials != 20 {
		t.Errorf("%d restarts, %d attempts:\n%s", n, dials, &log)
	}
}
