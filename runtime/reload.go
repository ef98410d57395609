package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/internal/reload"
	"github.com/openmas/openmas/runtime/project"
)

// Reloaded is what a reload has changed, or would change, in this order.
type Reloaded struct {
	Changes []Change `json:"changes"`
}

// A Change is of one agent, or of settings of the process.
type Change struct {
	// Kind is added, removed, changed, or setting.
	Kind string `json:"kind"`
	// Agent is empty for a setting.
	Agent string       `json:"agent,omitempty"`
	Keys  []ChangedKey `json:"keys,omitempty"`
	// Swap is how an agent is replaced: start_first or stop_first. Empty: it does not run here.
	Swap string `json:"swap,omitempty"`
	// Done: it was made. TookMS is how long that took.
	Done   bool  `json:"done"`
	TookMS int64 `json:"tookMs,omitempty"`
	// Cut says what did not end in time and was cut off, or left behind.
	Cut string `json:"cut,omitempty"`
	// Error is why it was not made, and none after it; or why an agent that was added does not run
	// yet.
	Error string `json:"error,omitempty"`
}

// A ChangedKey is a key of the project file with another value. Secrets are masked. Empty: it is
// not there.
type ChangedKey struct {
	Key string `json:"key"`
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// ErrFixed is in the error of a reload that would change what cannot change while the system runs.
var ErrFixed = errors.New("stop the process and run it again, or take them back")

// Compare says what [Runtime.Reload] would change, and changes nothing.
func (r *Runtime) Compare(cfg *project.Config) (Reloaded, error) {
	_, _, done, err := r.compare(context.Background(), cfg)
	return done, err
}

// Reload has the system run with another configuration of its project: it ends agents that are not
// in it any more, starts those that are new, and replaces those whose settings have changed, one
// after the other. A new one is up before the old one, whose calls in flight end first, is stopped:
// see [project.Agent.Swap]. No call is lost. The rest is left alone.
//
// A configuration that is wrong, or changes what cannot change while the system runs, is an error
// and changes nothing. Where an agent does not start with its new settings it keeps the old ones,
// and nothing that comes after it is changed: see [Change.Error]. One reload goes on at a time; the
// next one waits. Constructors of types must return a new agent each time.
func (r *Runtime) Reload(ctx context.Context, cfg *project.Config) (Reloaded, error) {
	if err := (program{r}).open(); err != nil {
		return Reloaded{}, err
	}
	ctx, end, err := r.reloads.Begin(ctx)
	if err != nil {
		return Reloaded{}, agent.Refusedf(agent.CodeUnavailable, "reload: %w", err)
	}
	defer end()
	cfg, plan, done, err := r.compare(ctx, cfg)
	if err != nil {
		return Reloaded{}, err
	}
	for n := range done.Changes {
		c := &done.Changes[n]
		began := time.Now()
		step := func(text string) { agent.Progress(ctx, float64(n), float64(len(done.Changes)), text) }
		step(strings.TrimSpace(c.Kind + " " + c.Agent))
		err := r.changeAndReport(ctx, c, plan, step)
		if c.TookMS = time.Since(began).Milliseconds(); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			err = r.mask(err)
			c.Error = err.Error()
			r.log.Log(ctx, r.reloadLevel(slog.LevelError),
				"reload: a change cannot be made, and those after it are not", "change", c.Kind, "agent", c.Agent,
				"error", err)
			return done, agent.Errorf(agent.CodeUnavailable, "reload: agent %s is not %s: %w", c.Agent, c.Kind, err)
		}
		c.Done = true
		r.log.Log(ctx, r.reloadLevel(slog.LevelInfo), "reload: "+c.Kind, "agent", c.Agent, "keys", keysOf(c.Keys),
			"took", time.Since(began).Round(time.Millisecond))
	}
	r.settle(cfg, plan)
	return done, nil
}

// reloadLevel is that of a line about a reload. Who builds programs reports each reload itself.
func (r *Runtime) reloadLevel(level slog.Level) slog.Level {
	if r.opts.Program != nil {
		return slog.LevelDebug
	}
	return level
}

func keysOf(keys []ChangedKey) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Key
	}
	return strings.Join(names, ",")
}

// compare checks a configuration whole, and returns it complete, with its plan and what it changes.
func (r *Runtime) compare(ctx context.Context, cfg *project.Config) (_ *project.Config, plan []planned, done Reloaded,
	err error) {
	if r.opts.Mode == ModeOnce {
		return nil, nil, done, agent.Refusedf(agent.CodeUnimplemented, "reload: a run that ends when every Runner has "+
			"returned (--once) cannot be reloaded")
	}
	cfg, err = cfg.Complete()
	if err != nil {
		return nil, nil, done, agent.Refusedf(agent.CodeInvalidArgument, "%w", err)
	}
	r.secrets.Learn(cfg)
	if cfg.Dir != r.cfg.Dir {
		return nil, nil, done, agent.Refusedf(agent.CodeInvalidArgument, "reload: the project file is in another "+
			"folder than the one that runs")
	}
	cfg, from := newSource(cfg, r.types, r.opts)
	now := r.now.Load()
	agents := map[string]*project.Config{}
	for _, p := range now.plan {
		agents[p.name] = p.of
	}
	changes, refused := reload.Compare(now.cfg, agents, cfg)
	if len(refused) > 0 {
		return nil, nil, done, agent.Refusedf(agent.CodeInvalidArgument, "reload: nothing was changed, since these "+
			"keys cannot change while the system runs: %s%s; %w", refusals(refused), waiting(changes), ErrFixed)
	}
	if err = from.ask(ctx, cfg, r.log); err == nil {
		plan, err = makePlan(cfg, from, r.opts.Only, r.log)
	}
	if err != nil {
		return nil, nil, done, agent.Refusedf(agent.CodeInvalidArgument, "%w", r.secrets.Text(err))
	}
	return cfg, plan, Reloaded{r.ordered(now.inOtherPrograms(changes, plan), plan)}, nil
}

func refusals(keys []reload.Key) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = ChangedKey(k).String()
	}
	return strings.Join(texts, ", ")
}

// waiting says which changes wait for those that are refused.
func waiting(changes []reload.Change) string {
	var names []string
	for _, c := range changes {
		if c.Kind != reload.Setting {
			names = append(names, c.Agent)
			continue
		}
		for _, k := range c.Keys {
			names = append(names, k.Key)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (the changes of " + strings.Join(names, ", ") + " wait for that)"
}

// String shows a change: "timeout 5s -> 3s".
func (k ChangedKey) String() string {
	switch {
	case k.Old == k.New: // a secret, or a block
		return k.Key + " (another value)"
	case k.Old == "":
		return k.Key + " " + k.New + " (new)"
	case k.New == "":
		return k.Key + " (not there any more)"
	}
	return fmt.Sprintf("%s %s -> %s", k.Key, k.Old, k.New)
}

// ordered puts changes in their order: settings, then agents in the order of a start, each after
// those that it requires, then those that are removed.
func (r *Runtime) ordered(changes []reload.Change, plan []planned) []Change {
	place := func(c reload.Change) int {
		if c.Kind == reload.Setting {
			return -1
		}
		if n := slices.IndexFunc(plan, func(p planned) bool { return p.name == c.Agent }); n >= 0 {
			return n
		}
		return len(plan)
	}
	slices.SortStableFunc(changes, func(a, b reload.Change) int { return place(a) - place(b) })
	out := make([]Change, len(changes))
	for i, c := range changes {
		out[i] = Change{Kind: string(c.Kind), Agent: c.Agent}
		for _, k := range c.Keys {
			out[i].Keys = append(out[i].Keys, ChangedKey(k))
		}
		if n := place(c); c.Kind == reload.Changed && r.hosts(c.Agent) {
			out[i].Swap = plan[n].cfg.Swap
		}
	}
	return out
}

// changeAndReport is change, with a line in the log, and a step, now and then while it waits.
func (r *Runtime) changeAndReport(ctx context.Context, c *Change, plan []planned, step func(string)) error {
	reporting, stop := context.WithCancel(ctx)
	var reporter conc.WaitGroup
	defer reporter.Wait()
	defer stop()
	meanwhile := "what runs goes on"
	if c.Swap == project.StopFirst {
		meanwhile = "its calls wait"
	}
	reporter.Go(func() {
		r.waits.Tell(reporting, c.Agent, func(text string) {
			r.log.WarnContext(ctx, "the reload waits", "for", text, "meanwhile", meanwhile)
			step("waiting for " + text)
		})
	})
	return r.change(ctx, c, plan)
}

// change makes one change.
func (r *Runtime) change(ctx context.Context, c *Change, plan []planned) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var p planned
	if n := slices.IndexFunc(plan, func(p planned) bool { return p.name == c.Agent }); n >= 0 {
		if p = plan[n]; p.arrival != nil {
			p.arrival.must = false // it must come at the start of the system only
		}
	}
	var cut, late error
	var err error
	switch kind := reload.Kind(c.Kind); {
	case kind == reload.Setting: // settle has it
	case kind == reload.Removed:
		cut = r.remove(ctx, c.Agent)
	case !r.hosts(c.Agent): // another process has it
		r.put(p)
		r.setHere(p.name)
	case kind == reload.Added:
		late, err = r.add(ctx, p)
	default:
		cut, err = r.swap(ctx, p)
	}
	if cut != nil {
		c.Cut = cut.Error()
	}
	if late != nil {
		c.Error = r.mask(late).Error()
	}
	return err
}

// settle notes what the system runs with, after all changes: agents that have not changed have a
// place in a new plan too.
func (r *Runtime) settle(cfg *project.Config, plan []planned) {
	now := r.now.Load()
	for i := range plan {
		if old := now.agents[plan[i].name]; old != nil {
			level := plan[i].level
			plan[i] = *old
			plan[i].of, plan[i].level = cfg, level
		}
	}
	r.now.Store(newSystem(cfg, plan))
	for _, p := range r.hosted() {
		for _, req := range p.requires {
			if err := r.checkOffered(p.name, req); r.waitsFor(req) == nil && err != nil {
				r.log.Warn("an agent requires what is not offered", "error", err)
			}
		}
	}
}

// reloadFile reads the project file anew for the operator. dry: it changes nothing.
func (r *Runtime) reloadFile(ctx context.Context, dry bool) (Reloaded, error) {
	if r.opts.Load == nil {
		return Reloaded{}, agent.Refusedf(agent.CodeUnimplemented, "reload: this program does not say how its project "+
			"is read (runtime.Options.Load)")
	}
	if err := (program{r}).open(); err != nil {
		return Reloaded{}, err
	}
	cfg, err := r.opts.Load()
	if err != nil {
		return Reloaded{}, agent.Refusedf(agent.CodeInvalidArgument, "%w", err)
	}
	if dry {
		return r.Compare(cfg)
	}
	done, err := r.Reload(ctx, cfg)
	if err != nil && len(done.Changes) > 0 {
		return done, nil // what was changed counts: the error is in it
	}
	return done, err
}

// ReloadFile is Reload with what [Options].Load returns. It says in the log what it does, for who
// has no other answer.
func (r *Runtime) ReloadFile(ctx context.Context) error {
	done, err := r.reloadFile(ctx, false)
	for _, c := range done.Changes {
		if c.Error != "" && !c.Done {
			return errors.New(c.Error) // the log has it
		}
	}
	if err != nil {
		r.log.Error("reload: nothing was changed", "error", err)
		return err
	}
	if len(done.Changes) == 0 {
		r.log.Info("reload: nothing has changed in the project file")
	}
	return nil
}
