package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openmas/openmas/runtime/project"
)

// awaitRequired waits for the agents elsewhere that agents here require, and logs which.
func (r *Runtime) awaitRequired(ctx context.Context) error {
	if r.cluster == nil {
		return nil
	}
	var logged time.Time
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := r.missing()
		if len(missing) == 0 {
			return nil
		}
		if time.Since(logged) > 5*time.Second {
			logged = time.Now()
			r.log.Warn("waiting for agents that other processes host", "agents", strings.Join(missing, ","))
		}
		select {
		case <-tick.C:
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
func (r *Runtime) checkForeignRequirements() error {
	for _, p := range r.hosted() {
		for _, req := range p.requires {
			callee, tool := req.Agent(), req.Tool()
			info, ok := r.dir.Agent(callee)
			if c := r.dir.Find(callee); c != nil && r.cfg.Agents[callee].Kind() == project.KindURL &&
				!c.Shown.Known() {
				r.log.Warn("an agent requires a tool of a server that cannot be reached yet", "agent", p.name,
					"requires", req.String())
				continue
			}
			if tool != "" && (!ok || !offers(info, tool)) {
				return fmt.Errorf("agent %s requires %s, and %s offers %s", p.name, req, callee,
					strings.Join(append(toolNames(info), "nothing else"), ", "))
			}
		}
	}
	return nil
}
