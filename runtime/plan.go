package runtime

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/lifecycle"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/runtime/internal/access"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/internal/reload"
	"github.com/openmas/openmas/runtime/internal/updates"
	"github.com/openmas/openmas/runtime/project"
)

// A planned agent is what New knows of one before anything is started.
type planned struct {
	name string
	of   *project.Config // what cfg is a part of
	cfg  project.Agent
	kind project.Kind
	// first is the agent of a type that was asked for its capabilities; make gives another one,
	// configured alike. Nil for a command or url.
	first *lifecycle.Instance
	used  *atomic.Bool // first was
	make  func() (agent.Agent, error)
	// results of calls with a key, which the instances of a type in this process share.
	results *agent.Results
	// info and requires of a type; what a foreign server offers is known when it is connected.
	info     agent.Info
	requires []agent.Requirement
	runner   bool
	healther bool
	// level is 0 for an agent that requires none here, else one more than the highest of those.
	level int
	// arrival of a command or url; nil for a type, which is there when the system is.
	arrival *arrival
	// subscriptions of clients to the resources of a foreign server; nil for our own types, which
	// publish when theirs change.
	subscriptions *updates.Subscriptions
	// unknown: the agent could not be asked for what it offers.
	unknown bool
	// tls of a url; nil: the system's.
	tls *tls.Config
	// program has the type in place of this one, which has it if that is nil; inside: it would run
	// in this process then.
	program *Program
	inside  bool
}

// A system is what runs, and with what. It is replaced as a whole, never changed.
type system struct {
	cfg    *project.Config // of the last reload that came to its end
	plan   []planned       // in the order of their start
	agents map[string]*planned
}

func newSystem(cfg *project.Config, plan []planned) *system {
	s := &system{cfg: cfg, plan: plan, agents: make(map[string]*planned, len(plan))}
	for i := range plan {
		s.agents[plan[i].name] = &plan[i]
	}
	return s
}

// makePlan checks the agents of cfg against their types, as far as that is possible without
// starting any, and orders them so that each comes after what it requires. Every problem found is
// in the error.
func makePlan(cfg *project.Config, from source, only []string, log *slog.Logger) ([]planned, error) {
	var errs []error
	all := map[string]*planned{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Agents)) {
		p, err := planAgent(cfg, from, name)
		errs = append(errs, err)
		p.unknown = p.unknown || err != nil
		all[name] = p
	}
	for _, name := range only {
		if all[name] == nil {
			errs = append(errs, fmt.Errorf("--agents names %q, which the project does not have", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, req := range all[name].requires {
			errs = append(errs, checkRequirement(cfg, from, all, name, req))
		}
	}
	if cfg.Gateway != nil {
		for i, name := range cfg.Gateway.Expose {
			callee, tool, _ := strings.Cut(name, ".")
			if wrong, hint := checkOffer(all, callee, tool); wrong != "" {
				item := fmt.Sprintf("[%d]", i)
				e := cfg.Errorf([]string{"gateway", "expose", item}, "gateway.expose%s: %s", item, wrong)
				if e.Hint = hint; all[callee] == nil {
					e.Hint = nearest.Hint(callee, append(cfg.AgentNames(), child.Runtime))
				}
				errs = append(errs, e)
			}
		}
	}
	if callee, tool, ok := strings.Cut(cfg.MCP.Sampling, "."); ok {
		if wrong, hint := checkOffer(all, callee, tool); wrong != "" {
			e := cfg.Errorf([]string{"mcp", "sampling"}, "mcp.sampling: %s", wrong)
			e.Hint = hint
			errs = append(errs, e)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return inOrder(all, log), nil
}

// inOrder puts the agents in the order of their start.
func inOrder(all map[string]*planned, log *slog.Logger) []planned {
	requires := make(map[string][]string, len(all))
	for name, p := range all {
		requires[name] = nil
		for _, req := range p.requires {
			requires[name] = append(requires[name], req.Agent())
		}
	}
	places, circles := lifecycle.StartOrder(requires)
	for _, c := range circles {
		log.Warn("agents require each other in a circle: some of them start before what they require",
			"agents", strings.Join(c, ","))
	}
	order := make([]planned, len(places))
	for i, p := range places {
		order[i] = *all[p.Name]
		order[i].level = p.Level
	}
	return order
}

func planAgent(cfg *project.Config, from source, name string) (*planned, error) {
	ac := cfg.Agents[name]
	p := &planned{name: name, of: cfg, cfg: ac, kind: ac.Kind()}
	if p.kind != project.KindType {
		var err error
		p.tls, err = access.TLS(cfg, name)
		p.arrival = newArrival(p.sessions(), ac.Critical)
		return p, err
	}
	if ac.Type == "" { // of a project that is not valid, and that has been said
		p.unknown = true
		return p, nil
	}
	if from.program != nil {
		if err := from.describe(p); err != nil {
			return p, err
		}
		return p, p.check()
	}
	construct, ok := from.types[ac.Type]
	if !ok {
		return p, unknownType(cfg, name, slices.Collect(maps.Keys(from.types)))
	}
	p.results, p.used = agent.NewResults(), &atomic.Bool{}
	p.make = func() (a agent.Agent, err error) {
		defer lifecycle.Recover(&err, slog.New(slog.DiscardHandler), "the constructor of type "+ac.Type)
		a = construct()
		if a == nil {
			return nil, fmt.Errorf("agent %s: the constructor of type %q returned nil", name, ac.Type)
		}
		if err := project.Fill(a, ac.Config); err != nil {
			return nil, cfg.Locate([]string{"agents", name, "config"}, err)
		}
		return a, nil
	}
	a, err := p.make()
	if err == nil {
		p.first, err = lifecycle.New(a, agent.Env{Name: name})
	}
	var placed *project.Error
	if err != nil && !errors.As(err, &placed) {
		err = cfg.Errorf([]string{"agents", name}, "%v", err)
	}
	if err != nil {
		return p, err
	}
	p.info, p.requires = p.first.Host.Info(), p.first.Requires()
	_, p.runner = a.(agent.Runner)
	_, p.healther = a.(agent.Healther)
	if ac.Child() {
		p.first = nil // what was asked is not what will run
	}
	return p, p.check()
}

// describe completes p with what its program says.
func (from *source) describe(p *planned) error {
	says, at := from.answers.Agents[p.name], []string{"agents", p.name, "config"}
	switch {
	case says.Unknown:
		return unknownType(p.of, p.name, from.answers.Types)
	case len(says.Config) > 0:
		return p.of.Locate(at, says.Config)
	case says.Error != "":
		return p.of.Errorf([]string{"agents", p.name}, "%s", says.Error)
	}
	for _, target := range says.Requires {
		p.requires = append(p.requires, agent.Require(target))
	}
	p.info, p.runner, p.healther = says.Info, says.Runner, says.Healther
	p.program, p.inside = from.program, from.inside[p.name]
	return nil
}

// inOtherPrograms adds to changes the agents that run in another program than in a new plan, or in
// the place of another communicator.
func (s *system) inOtherPrograms(changes []reload.Change, plan []planned) []reload.Change {
	for _, p := range plan {
		now := s.agents[p.name]
		key := "program"
		switch {
		case p.program == nil || now == nil || now.program == nil:
			continue
		case !slices.Equal(now.program.Command, p.program.Command):
		case now.inside != p.inside: // it has another environment then
			key = "communicator"
		default:
			continue
		}
		if !slices.ContainsFunc(changes, func(c reload.Change) bool { return c.Agent == p.name }) {
			changes = append(changes, reload.Change{Kind: reload.Changed, Agent: p.name,
				Keys: []reload.Key{{Key: key}}})
		}
	}
	return changes
}

// check checks that the project asks of an agent of a type what that has.
func (p *planned) check() error {
	if p.runner && p.cfg.IdleStop > 0 {
		e := p.of.Errorf([]string{"agents", p.name, "idle_stop"},
			"agents.%s.idle_stop: type %q has a Runner, which works without being called", p.name, p.cfg.Type)
		e.Hint = "remove it"
		return e
	}
	return checkTools(p.of, p.name, p.info)
}

// checkTools checks that an agent has the tools that the project has a policy for.
func checkTools(cfg *project.Config, name string, info agent.Info) error {
	var wrong []error
	for _, tool := range slices.Sorted(maps.Keys(cfg.Agents[name].Tools)) {
		if offers(info, tool) {
			continue
		}
		e := cfg.Errorf([]string{"agents", name, "tools", tool}, "agent %s has no tool %q", name, tool)
		e.Hint = nearest.Hint(tool, toolNames(info))
		wrong = append(wrong, e)
	}
	return errors.Join(wrong...)
}

// checkRequirement checks that somebody can provide what name requires. A tool of a foreign server
// is checked once that is connected.
func checkRequirement(cfg *project.Config, from source, all map[string]*planned, name string,
	req agent.Requirement) error {
	if wrong, hint := checkOffer(all, req.Agent(), req.Tool()); wrong != "" {
		e := cfg.Errorf([]string{"agents", name}, "agent %s requires %s, and %s", name, req, wrong)
		if e.Hint = hint; all[req.Agent()] == nil && nearest.Word(req.Agent(), cfg.AgentNames()) == "" {
			e.Hint = from.howToDeclare(req.Agent())
		}
		return e
	}
	return nil
}

// checkOffer returns why nobody can offer callee, or its tool, as far as is known.
func checkOffer(all map[string]*planned, callee, tool string) (wrong, hint string) {
	p := all[callee]
	switch {
	case callee == child.Runtime:
		return "", ""
	case p == nil:
		return fmt.Sprintf("there is no agent %q", callee), nearest.Hint(callee, slices.Collect(maps.Keys(all)))
	case p.unknown: // what is wrong with it is reported already
	case p.kind == project.KindType && tool != "" && !offers(p.info, tool):
		return fmt.Sprintf("%s has no tool %q", callee, tool), nearest.Hint(tool, toolNames(p.info))
	}
	return "", ""
}

// sessions is how many the agent is reached through.
func (p *planned) sessions() int { return max(p.cfg.Replicas, p.cfg.Sessions, 1) }

func offers(info agent.Info, tool string) bool { _, ok := info.Tool(tool); return ok }

// An arrival is the first attempt to start a foreign agent. The start waits for it for some time
// only, and goes on when it fails: the agent may come later. One that must come fails the start.
type arrival struct {
	must bool
	// tried is closed when the first attempt of each instance has ended.
	tried chan struct{}

	left atomic.Int32
}

func newArrival(instances int, must bool) *arrival {
	a := &arrival{must: must, tried: make(chan struct{})}
	a.left.Store(int32(instances))
	return a
}

// ended notes that the first attempt of an instance has ended.
func (a *arrival) ended() {
	if a.left.Add(-1) == 0 {
		close(a.tried)
	}
}

// foreign reports whether the agent is a program or server that is not ours.
func (p planned) foreign() bool { return p.kind != project.KindType }

// here reports whether the agent runs in this process.
func (p planned) here() bool { return !p.foreign() && p.cfg.Communicator != project.OverStdio }

// requiredAgents are the agents that p requires.
func (p planned) requiredAgents() []string {
	var names []string
	for _, req := range p.requires {
		names = append(names, req.Agent())
	}
	return names
}

// instance makes a copy of the agent for instance n. The first one of all is the one that was asked
// for its capabilities.
func (p planned) instance(n int, env agent.Env) (*lifecycle.Instance, error) {
	if n == 0 && p.used.CompareAndSwap(false, true) {
		return p.first, p.first.Lend(env)
	}
	a, err := p.make()
	if err != nil {
		return nil, err
	}
	return lifecycle.New(a, env)
}
