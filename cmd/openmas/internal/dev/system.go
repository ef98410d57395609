package dev

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// errNewer is why what goes on is given up.
var errNewer = errors.New("there is a newer change")

// apply has the system run with the newest program and project file.
func (d *dev) apply(ctx context.Context) { d.applyBuilt(ctx, time.Now()) }

// applyBuilt is apply for what has become new at that time.
func (d *dev) applyBuilt(ctx context.Context, since time.Time) {
	cfg := d.cfg.Load()
	switch {
	case cfg == nil, cfg.Package != "" && d.latest.Load() == nil, d.restarts:
		return // it comes
	case d.job != nil:
		d.again = true
		d.job.cancel(errNewer)
		return
	}
	d.again = false
	jobCtx, cancel := context.WithCancelCause(ctx)
	d.job = &job{cancel}
	d.waiting.Store(true)
	if s := d.system; s != nil {
		program := d.latest.Load()
		d.tasks.Go(func() {
			defer cancel(nil)
			done, err := s.Reload(jobCtx, cfg)
			f := d.explain(jobCtx, err)
			d.post(func() { d.reloaded(ctx, since, program, cfg, done, f) })
		})
		return
	}
	s := &system{stop: cancel}
	d.system, d.taken, d.reported = s, cfg, cfg
	d.tasks.Go(func() { d.serve(ctx, jobCtx, s, cfg) })
}

// serve runs a system to its end.
func (d *dev) serve(ctx, jobCtx context.Context, s *system, cfg *project.Config) {
	defer s.stop(nil)
	r, err := d.app.NewRuntime(jobCtx, cfg, runtime.Options{Logger: d.log, Output: d.app.Out, Load: d.load,
		Program: d.program,
		OnReady: func(st runtime.Status) {
			d.app.ShowReady(d.log, st, d.howToStop())
			d.post(func() { d.started(ctx, s) })
		}})
	if err == nil {
		s.Runtime = r
		err = r.Run(jobCtx)
	}
	f := d.explain(jobCtx, err)
	if known := d.app.RunsAlready(ctx, &d.flags, err); known != nil {
		f.err, f.taken = known, true
	}
	d.post(func() { d.ended(ctx, s, f) })
}

// program is what has the types of the agents now.
func (d *dev) program() runtime.Program {
	if p := d.latest.Load(); p != nil {
		return *p
	}
	return runtime.Program{}
}

func (d *dev) jobEnded() {
	d.job = nil
	d.waiting.Store(false)
}

// started is called when a system is up.
func (d *dev) started(ctx context.Context, s *system) {
	s.up, d.wasUp = true, true
	d.jobEnded()
	if d.again {
		d.apply(ctx)
	}
}

// A failure is why something was not done; nil: it was.
type failure struct {
	err   error
	shown bool // as what is wrong in the project file
	early bool // it is about the project file, and the program for that is being built
	taken bool // another process of the project runs, and has its address
}

// ended is called when a system has ended. f is why, if it was not told to.
func (d *dev) ended(ctx context.Context, s *system, f failure) {
	up := s.up
	d.system = nil
	d.forget()
	if !up {
		d.jobEnded()
	} else if d.job != nil {
		d.again = true // a reload goes on that will fail
	}
	switch {
	case ctx.Err() != nil:
	case d.restarts, d.again && d.job == nil:
		d.restarts = false
		d.apply(ctx)
	case f.err == nil && up: // openmas stop --all
		d.quit(errors.New("it was stopped"))
	case d.early(ctx, f):
	case f.taken && !d.wasUp: // it was typed twice
		d.failed = f.err
		d.quit(f.err)
	default:
		if f.err != nil && !f.shown {
			d.say("%s", cmp.Or(d.notStarted("", f.err), d.withLastLines(f.err.Error(), f.err)))
		}
		d.goesOn("the system does not run")
	}
}

// reloaded is called when a reload has ended.
func (d *dev) reloaded(ctx context.Context, since time.Time, program *runtime.Program, cfg *project.Config,
	done runtime.Reloaded, f failure) {
	d.jobEnded()
	if d.system == nil || d.again {
		d.apply(ctx)
		return
	}
	var agents, settings []string
	for _, c := range done.Changes {
		switch {
		case !c.Done:
		case c.Agent == "":
			for _, k := range c.Keys {
				settings = append(settings, k.Key)
			}
		case c.Kind == "changed":
			agents = append(agents, c.Agent)
		default:
			agents = append(agents, c.Agent+" ("+c.Kind+")")
		}
	}
	what, without := append(agents, settings...), moved(d.reported, cfg)
	fixed := errors.Is(f.err, runtime.ErrFixed)
	switch {
	case len(what) > 0:
		d.sayIn(green, "live after %s: %s", seconds(time.Since(since)), strings.Join(what, ", "))
	case f.err == nil && len(without) == 0:
		d.say("nothing has changed for what runs")
	}
	if f.err == nil || fixed {
		d.reported = cfg
	}
	if (f.err == nil || fixed) && len(without) > 0 {
		d.say("%s: the new communicator has no effect here: openmas dev reaches each agent of the package over "+
			"stdio; openmas run takes it", strings.Join(without, ", "))
	}
	switch {
	case f.err == nil:
		d.taken = cfg
		if d.builds != nil && program != nil {
			d.builds.Keep(program.Command[0])
		}
		return
	case ctx.Err() != nil, d.early(ctx, f):
		return
	case fixed: // it says itself that nothing was changed
		d.sayIn(red, "%s", d.refusal(done, f.err))
		return
	case !f.shown:
		d.say("%s", d.refusal(done, f.err))
	}
	if len(agents) > 0 {
		d.sayIn(red, "the rest goes on as it was")
		return
	}
	d.goesOn("the change is not taken")
}

// moved are the agents of the package that have another communicator in the project file, and none
// here: they are in processes of their own, and would be in one with the project.
func moved(before, now *project.Config) (names []string) {
	for _, name := range now.AgentNames() {
		old, is := before.Agents[name], now.Agents[name]
		if old.Kind() == project.KindType && is.Kind() == project.KindType && old.Communicator != is.Communicator &&
			old.Communicator != project.OverStdio && is.Communicator != project.OverStdio {
			names = append(names, name)
		}
	}
	return names
}

// explain shows what is wrong in the project file, if that is what err is about, as openmas
// validate does, which the newest program is asked for.
func (d *dev) explain(ctx context.Context, err error) failure {
	f := failure{err: err}
	var wrong *project.Error
	if err == nil || ctx.Err() != nil || !errors.As(err, &wrong) {
		return f
	}
	if f.early = d.newer.Load(); !f.early {
		f.shown = d.validate(ctx, d.latest.Load(), errNotBuilt)
	}
	return f
}

// early has a project file wait for the program that is being built, if it has failed for now: both
// may be parts of one change.
func (d *dev) early(ctx context.Context, f failure) bool {
	if !f.early {
		return false
	}
	if d.building == nil { // it has ended meanwhile, and has not waited
		d.apply(ctx)
		return true
	}
	d.say("the project file waits for the program")
	d.waits = true
	return true
}

// errNotBuilt and errNoAnswer are why nothing is known of the types of the agents.
var (
	errNotBuilt = errors.New("the package is not built yet")
	errNoAnswer = errors.New("the program that is built does not answer")
)

// validateTime is how long the program may take to validate. Keys and changes wait meanwhile.
const validateTime = 5 * time.Second

// validate shows what is wrong in the project file. built is the program that knows the types; nil:
// unbuilt is why there is none. It reports whether something was wrong.
func (d *dev) validate(ctx context.Context, built *runtime.Program, unbuilt error) bool {
	args := append([]string{"validate"}, d.at...)
	if built != nil {
		answered, wrong := validateBy(ctx, built.Command[0], args, d.app.Err)
		if answered || ctx.Err() != nil {
			return wrong
		}
		unbuilt = errNoAnswer
	}
	p := d.app.Program
	p.Become = func(context.Context, *project.Config, io.Writer) error { return unbuilt }
	p.Commands = nil
	var out bytes.Buffer
	return cli.Run(ctx, p, args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: d.app.Err}) != 0
}

// counted is the end of what openmas validate says of a project file that is wrong.
var counted = regexp.MustCompile(`has [0-9]+ errors?\n$`)

// validateBy has a program validate. One that ends for another reason, or says nothing, has not
// answered, and nothing is shown of it.
func validateBy(ctx context.Context, program string, args []string, show io.Writer) (answered, wrong bool) {
	ctx, cancel := context.WithTimeout(ctx, validateTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	err := cmd.Run()
	wrong = err != nil
	if answered = wrong && counted.Match(errOut.Bytes()) || !wrong && out.Len() > 0; answered {
		_, err = show.Write(errOut.Bytes())
	}
	return answered, answered && (wrong || err != nil)
}

func (d *dev) howToStop() string {
	if d.hasKeys {
		return "q or Ctrl-C"
	}
	return "Ctrl-C"
}
