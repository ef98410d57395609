package cluster

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sourcegraph/conc"
	concpool "github.com/sourcegraph/conc/pool"

	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/runtime/internal/route"
)

const (
	// dialsAtOnce bounds how many agents elsewhere are asked at the same time what they offer.
	dialsAtOnce = 16
	// askAgain is when one is asked again that did not answer.
	askAgain = time.Second
)

// foreign is an agent that lives in other processes only.
type foreign struct {
	callee   *route.Callee
	instance *route.Instance
	peer     communicator.Peer
	offers   string // of its processes, when it was last asked what it offers
}

// abroad are the agents that live in other processes only. Its fields besides changed belong to
// follow while that runs.
type abroad struct {
	broker      communicator.Communicator
	directory   *route.Directory
	newCallee   func(name string, sessions *route.Pool) *route.Callee
	dialTimeout time.Duration
	offered     func() map[string]string // what is to be called elsewhere, by name
	divert      func(context.Context, func(name string) *route.Callee, *conc.WaitGroup) bool
	stale       func() []string // whose callees are to be made anew
	settled     func()          // called when the directory is in step again
	onChange    func()
	log         *slog.Logger

	changed chan struct{}
	agents  map[string]*foreign
	ends    conc.WaitGroup // of sessions that are not used any more
}

// follow keeps the directory in step with what the others host.
func (a *abroad) follow(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-a.changed:
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if a.settle(ctx) {
			again.Stop()
		} else {
			again.Reset(askAgain)
		}
		a.settled()
	}
}

// settle adds the agents that are hosted elsewhere only, or are stopped here, asks those anew that
// offer something else, and removes those that are not there any more. It reports whether all have
// answered.
func (a *abroad) settle(ctx context.Context) bool {
	want := a.offered()
	for _, name := range a.stale() {
		if f := a.agents[name]; f != nil {
			old := f.callee
			f.callee = a.newCallee(name, old.Shown)
			a.directory.Add(f.callee)
			old.Replace(f.callee)
		}
	}
	var gone []string
	for name := range a.agents {
		if _, ok := want[name]; !ok {
			gone = append(gone, name)
		}
	}
	there := func(name string) *route.Callee {
		if _, ok := want[name]; ok && a.agents[name] != nil {
			return a.agents[name].callee
		}
		return nil
	}
	if len(gone) > 0 {
		a.divert(ctx, there, &a.ends) // before their sessions end
	}
	a.remove(ctx, gone...)
	type answer struct {
		name string
		f    *foreign
		err  error
	}
	asks := concpool.NewWithResults[answer]().WithMaxGoroutines(dialsAtOnce)
	for name, offers := range want {
		if f := a.agents[name]; f == nil {
			asks.Go(func() answer { f, err := a.dial(ctx, name, offers); return answer{name, f, err} })
		} else if f.offers != offers {
			asks.Go(func() answer { return answer{name, f, a.refresh(ctx, f, offers)} })
		}
	}
	answers := asks.Wait()
	all := true
	for _, r := range answers {
		if r.err != nil {
			all = false
			a.log.Warn("an agent that another process hosts does not answer", "agent", r.name, "again in",
				askAgain, "error", r.err)
		} else if a.agents[r.name] == nil {
			a.agents[r.name] = r.f
		}
	}
	for _, f := range a.agents {
		a.directory.Offer(f.callee) // one that was stopped here may be here no more
	}
	all = a.divert(ctx, there, &a.ends) && all
	if len(answers)+len(gone) > 0 {
		a.onChange()
	}
	return all
}

func (a *abroad) dial(ctx context.Context, name, offers string) (*foreign, error) {
	ctx, cancel := context.WithTimeout(ctx, a.dialTimeout)
	defer cancel()
	peer, err := a.broker.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	sessions := route.NewPool(name, 1)
	sessions.Learn(peer.Info())
	i := sessions.Instances()[0]
	i.Up(peer)
	return &foreign{callee: a.newCallee(name, sessions), instance: i, peer: peer, offers: offers}, nil
}

// A refresher is a peer that can ask the agent anew what it offers, as those of pubsub can.
type refresher interface {
	Refresh(ctx context.Context) error
}

// refresh asks an agent anew what it offers; its calls go on.
func (a *abroad) refresh(ctx context.Context, f *foreign, offers string) error {
	r, ok := f.peer.(refresher)
	if !ok {
		return errors.New("its session cannot ask")
	}
	ctx, cancel := context.WithTimeout(ctx, a.dialTimeout)
	defer cancel()
	if err := r.Refresh(ctx); err != nil {
		return err
	}
	f.offers = offers
	return nil
}

// remove takes agents out of the directory. Their sessions end when the calls that are in
// flight have: a process that leaves in order still answers them.
func (a *abroad) remove(ctx context.Context, names ...string) {
	for _, name := range names {
		f := a.agents[name]
		a.directory.Withdraw(f.callee)
		delete(a.agents, name)
		a.ends.Go(func() {
			if err := errors.Join(f.instance.Stop(ctx), f.peer.Close(ctx)); err != nil {
				a.log.Debug("end the session to an agent elsewhere", "agent", name, "error", err)
			}
		})
	}
}
