package runtime

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/lifecycle"
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
	p := planned{name: "late", kind: project.KindCommand, cfg: r.cfg.Agents["late"], arrival: newArrival(1, false),
		undo: &lifecycle.Undo{}}
	peer, dialing := &closing{}, make(chan struct{})
	dial := func(ctx context.Context) (communicator.Peer, error) {
		close(dialing)
		<-ctx.Done()
		return peer, nil
	}
	if err := r.openSession(t.Context(), t.Context(), p, pool, 0, dial); err != nil {
		t.Fatal(err)
	}
	<-dialing
	if err := p.undo.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if n := peer.closed.Load(); n != 1 {
		t.Errorf("it was closed %d times", n)
	}
}
