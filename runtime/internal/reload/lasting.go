package reload

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// Lasting is a communicator in which a name stays served while what serves it is replaced: those
// who call it from elsewhere notice nothing. Of several services of one name the last one gets the
// calls. It is safe for concurrent use.
type Lasting struct {
	communicator.Communicator

	mu     sync.Mutex
	byName map[string]*lasting
}

// NewLasting returns a Lasting over another communicator.
func NewLasting(c communicator.Communicator) *Lasting {
	return &Lasting{Communicator: c, byName: map[string]*lasting{}}
}

// Serve implements [communicator.Server], but that a name which is taken is no error.
func (l *Lasting) Serve(ctx context.Context, s communicator.Service) (communicator.Binding, error) {
	name := s.Info().Name
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.byName[name]
	if x == nil {
		x = &lasting{}
		x.now.Store(&s)
		var err error
		if x.binding, err = l.Communicator.Serve(ctx, x); err != nil {
			return nil, err
		}
		l.byName[name] = x
	}
	one := &turn{l: l, x: x, s: s}
	x.all = append(x.all, one)
	x.now.Store(&s)
	return one, nil
}

// lasting is what serves a name.
type lasting struct {
	now     atomic.Pointer[communicator.Service]
	binding communicator.Binding
	all     []*turn // under Lasting.mu, the last one has the calls
}

// Info implements [communicator.Service].
func (x *lasting) Info() agent.Info { return (*x.now.Load()).Info() }

// Call implements [agent.Caller].
func (x *lasting) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	return (*x.now.Load()).Call(ctx, c)
}

// Bounds implements [communicator.Bounded].
func (x *lasting) Bounds() communicator.Bounds {
	if b, ok := (*x.now.Load()).(communicator.Bounded); ok {
		return b.Bounds()
	}
	return communicator.Bounds{}
}

// A turn is a service of a name, for as long as it is not closed.
type turn struct {
	l *Lasting
	x *lasting
	s communicator.Service
}

// Close implements [communicator.Binding]. Where others serve the name, they get the calls; those
// in flight are waited for by whoever has the service.
func (t *turn) Close(ctx context.Context) error {
	t.l.mu.Lock()
	t.x.all = slices.DeleteFunc(t.x.all, func(one *turn) bool { return one == t })
	if n := len(t.x.all); n > 0 {
		t.x.now.Store(&t.x.all[n-1].s)
		t.l.mu.Unlock()
		return nil
	}
	if name := t.s.Info().Name; t.l.byName[name] == t.x {
		delete(t.l.byName, name)
	}
	t.l.mu.Unlock()
	return t.x.binding.Close(ctx)
}
