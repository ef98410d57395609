package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/openmas/openmas/agent"
)

// awaitRequired waits for the agents elsewhere that agents here require, and logs which.
func (r *Runtime) awaitRequired(ctx context.Context) error {
	if r.cluster == nil {
		return nil
	}
	defer r.waits.Begin("other processes", func() string {
		return "no process hosts " + strings.Join(r.missing(), ", ") + " yet"
	}, 0, "")()
	for {
		settled, missing := r.cluster.Settled(), r.missing()
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return fmt.Errorf("start given up while waiting for %s, which no process hosts: %w",
				strings.Join(missing, ", "), ctx.Err())
		}
	}
}

// missing are agents that agents here require and that nobody hosts yet.
func (r *Runtime) missing() []string {
	var missing []string
	for _, p := range r.hosted() {
		for _, req := range p.requires {
			if name := req.Agent(); r.dir.Find(name) == nil && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// checkForeignRequirements looks at what could not be known before foreign servers were connected.
// Those that are not there yet may come later.
func (r *Runtime) checkForeignRequirements() error {
	for _, p := range r.hosted() {
		for _, req := range p.requires {
			if why := r.waitsFor(req); why != nil {
				r.log.Warn("an agent waits for what it requires", "agent", p.name, "requires", req.String(), "why", why)
				continue
			}
			if err := r.checkOffered(p.name, req); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOffered returns an error when a tool that is required is not offered.
func (r *Runtime) checkOffered(name string, req agent.Requirement) error {
	info, ok := r.dir.Agent(req.Agent())
	if req.Tool() == "" || ok && offers(info, req.Tool()) {
		return nil
	}
	return fmt.Errorf("agent %s requires %s, and %s offers %s", name, req, req.Agent(),
		strings.Join(append(toolNames(info), "nothing else"), ", "))
}

// waitsFor says why what is required of a foreign agent is not there yet; nil: it is, or should be.
func (r *Runtime) waitsFor(req agent.Requirement) error {
	c := r.dir.Find(req.Agent())
	if c == nil || !r.foreign(req.Agent()) || c.Shown.Known() {
		return nil
	}
	return r.mask(c.Shown.Down())
}

// waiting lists, for each agent of this process, what it requires and is not there yet.
func (r *Runtime) waiting() map[string][]string {
	waiting := map[string][]string{}
	for _, p := range r.hosted() {
		for _, req := range p.requires {
			if r.waitsFor(req) != nil {
				waiting[p.name] = append(waiting[p.name], req.String())
			}
		}
	}
	return waiting
}

// foreign reports whether an agent of the project is a command or url.
func (r *Runtime) foreign(name string) bool {
	p := r.now.Load().agents[name]
	return p != nil && p.foreign()
}

// come logs for whom an agent is there at last.
func (r *Runtime) come(name string) {
	for _, p := range r.hosted() {
		for _, req := range p.requires {
			if req.Agent() != name {
				continue
			}
			if err := r.checkOffered(p.name, req); err != nil {
				r.log.Warn("what an agent requires has come without it", "error", err)
				continue
			}
			r.log.Info("what an agent requires is there", "agent", p.name, "requires", req.String())
		}
	}
}
