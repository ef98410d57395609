package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

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

// follow keeps the directory in step with what the others host.
func (c *Cluster) follow(ctx context.Context) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-c.changed:
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if c.settle(ctx) {
			again.Stop()
		} else {
			again.Reset(askAgain)
		}
		c.mu.Lock()
		close(c.settled)
		c.settled = make(chan struct{})
		c.mu.Unlock()
	}
}

// settle adds the agents that are hosted elsewhere only, asks those anew that offer something else,
// and removes those that are not there any more. It reports whether all have answered.
func (c *Cluster) settle(ctx context.Context) bool {
	want := c.offered()
	var gone []string
	for name := range c.foreign {
		if _, ok := want[name]; !ok {
			gone = append(gone, name)
		}
	}
	c.removeForeign(ctx, gone...)
	type answer struct {
		name string
		f    *foreign
		err  error
	}
	asks := concpool.NewWithResults[answer]().WithMaxGoroutines(dialsAtOnce)
	for name, offers := range want {
		if f := c.foreign[name]; f == nil {
			asks.Go(func() answer { f, err := c.dialForeign(ctx, name, offers); return answer{name, f, err} })
		} else if f.offers != offers {
			asks.Go(func() answer { return answer{name, f, c.refresh(ctx, f, offers)} })
		}
	}
	answers := asks.Wait()
	all, fresh := true, []*route.Callee(nil)
	for _, a := range answers {
		if a.err != nil {
			all = false
			c.o.Logger.Warn("an agent that another process hosts does not answer", "agent", a.name, "again in",
				askAgain,
				"error", a.err)
		} else if c.foreign[a.name] == nil {
			c.foreign[a.name] = a.f
			fresh = append(fresh, a.f.callee)
		}
	}
	if len(answers)+len(gone) > 0 {
		c.o.Directory.Add(fresh...)
		c.o.OnChange()
	}
	return all
}

// offered returns the agents that are hosted elsewhere and not here, each with what it offers.
func (c *Cluster) offered() map[string]string {
	all := map[string][]string{}
	c.mu.Lock()
	for _, a := range c.members {
		for _, x := range a.Agents {
			if !c.here[x.Name] && !slices.Contains(all[x.Name], x.Offers) {
				all[x.Name] = append(all[x.Name], x.Offers)
			}
		}
	}
	c.mu.Unlock()
	out := make(map[string]string, len(all))
	for name, offers := range all {
		slices.Sort(offers)
		out[name] = strings.Join(offers, " ")
	}
	return out
}

func (c *Cluster) dialForeign(ctx context.Context, name, offers string) (*foreign, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.DialTimeout)
	defer cancel()
	peer, err := c.o.Broker.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	sessions := route.NewPool(name, 1)
	sessions.Learn(peer.Info())
	i := sessions.Instances()[0]
	i.Up(peer)
	return &foreign{callee: c.o.Callee(name, sessions), instance: i, peer: peer, offers: offers}, nil
}

// A refresher is a peer that can ask the agent anew what it offers, as those of pubsub can.
type refresher interface {
	Refresh(ctx context.Context) error
}

// refresh asks an agent anew what it offers; its calls go on.
func (c *Cluster) refresh(ctx context.Context, f *foreign, offers string) error {
	r, ok := f.peer.(refresher)
	if !ok {
		return errors.New("its session cannot ask")
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.DialTimeout)
	defer cancel()
	if err := r.Refresh(ctx); err != nil {
		return err
	}
	f.offers = offers
	return nil
}

// removeForeign takes agents out of the directory. Their sessions end when the calls that are in
// flight have: a process that leaves in order still answers them.
func (c *Cluster) removeForeign(ctx context.Context, names ...string) {
	c.o.Directory.Remove(names...)
	for _, name := range names {
		f := c.foreign[name]
		delete(c.foreign, name)
		c.ends.Go(func() {
			if err := errors.Join(f.instance.Stop(ctx), f.peer.Close(ctx)); err != nil {
				c.o.Logger.Debug("end the session to an agent elsewhere", "agent", name, "error", err)
			}
		})
	}
}
