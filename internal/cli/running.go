package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/ops"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
)

// answerTime is how long a process may take to say how it is.
const answerTime = 3 * time.Second

// A runningProcess is one of a project that runs on this machine, as its operations socket shows
// it.
type runningProcess struct {
	ops.Endpoint
	status runtime.Status
	// self leads to the runtime, with its tools under their own names.
	self *client.Session
	log  *slog.Logger
}

// processes are those of one project, the oldest first. They are closed by whoever asked for them.
type processes []*runningProcess

func (all processes) close(ctx context.Context) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, closing(ctx, p.self))
	}
	return errors.Join(errs...)
}

// A silentError is that a project runs here, and none of its processes answers.
type silentError struct{ processes []error }

func (e *silentError) Error() string {
	return "the project runs, and cannot be asked: " + errors.Join(e.processes...).Error()
}

func (e *silentError) Unwrap() []error { return e.processes }

// running finds the processes that were started with the project file and run here; none is no
// error, and a [*silentError] that none of them answers. Where others do, say names those that do
// not. It does not read the file, whose secrets may be known to whoever started it only.
func running(ctx context.Context, file string, log *slog.Logger, say func(string, ...any)) (processes, error) {
	id, err := ops.ProjectOf(file)
	if err != nil {
		return nil, nil // what reads the file says what is wrong with it
	}
	found, err := ops.Find(ctx, id)
	if err != nil {
		say("some processes may not be found: %v", err)
	}
	var mu sync.Mutex
	var asked sync.WaitGroup
	var all processes
	var silent []error
	for _, e := range found {
		asked.Go(func() {
			p, err := ask(ctx, e, log)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, err)
				return
			}
			all = append(all, p)
		})
	}
	asked.Wait()
	if len(all) == 0 && len(silent) > 0 {
		return nil, &silentError{silent}
	}
	for _, err := range silent {
		say("%v", err)
	}
	slices.SortFunc(all, func(a, b *runningProcess) int { return a.status.Started.Compare(b.status.Started) })
	return all, nil
}

// unheard is for notes that nobody reads.
func unheard(string, ...any) {}

// Running says how the processes of a project are that run on this machine, the oldest first. Those
// that do not answer are left out.
func Running(ctx context.Context, file string) (found []runtime.Status) {
	all, err := running(ctx, file, slog.New(slog.DiscardHandler), unheard)
	if err != nil {
		return nil
	}
	defer func() { _ = all.close(ctx) }()
	for _, p := range all {
		found = append(found, p.status)
	}
	return found
}

// RunsAlready is what to say in place of err, if that is that the project cannot have its address
// because it runs on this machine already; nil: it is not.
func (a *App) RunsAlready(ctx context.Context, p *ProjectFlags, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil
	}
	if known := a.Has(ctx, p, err.Error()); known != nil {
		return known
	}
	file, fileErr := p.File()
	if fileErr != nil {
		return nil //nolint:nilerr // what reads the file says what is wrong
	}
	all, known := running(ctx, file, slog.New(slog.DiscardHandler), unheard)
	if silent := (*silentError)(nil); errors.As(known, &silent) {
		return fmt.Errorf("%w\n%w", err, known)
	}
	return all.close(ctx)
}

// Has is an error that says which process of the project has an address, host:port, that a text
// names; nil: none of this machine.
func (a *App) Has(ctx context.Context, p *ProjectFlags, text string) error {
	file, err := p.File()
	if err != nil {
		return nil //nolint:nilerr // what reads the file says what is wrong
	}
	flags := ""
	if p.path != "" {
		flags = " -p " + p.path
	}
	for _, s := range Running(ctx, file) {
		for _, at := range []string{s.URL, s.Ops} {
			u, urlErr := url.Parse(at)
			if urlErr != nil || u.Port() == "" || !strings.Contains(text+" ", ":"+u.Port()+" ") {
				continue
			}
			return fmt.Errorf("project %s runs already: process %d, for %s, at %s\nopenmas status%s shows it, "+
				"openmas stop --all%s stops it, and --listen 127.0.0.1:0 starts another one beside it", s.Project,
				s.PID, age(s.Started), at, flags, flags)
		}
	}
	return nil
}

// ask connects to a process and asks it how it is. The error names it.
func ask(ctx context.Context, e ops.Endpoint, log *slog.Logger) (*runningProcess, error) {
	if e.Suspended() {
		return nil, suspended(e)
	}
	p, err := asked(ctx, e, log)
	switch {
	case err == nil:
		return p, nil
	case e.Suspended(): // meanwhile
		return nil, suspended(e)
	case e.PID != 0:
		return nil, fmt.Errorf("process %d does not answer: %w", e.PID, err)
	}
	return nil, fmt.Errorf("process %s does not answer: %w", e.Process, err)
}

// suspended says what to do about a process that does nothing.
func suspended(e ops.Endpoint) error {
	return fmt.Errorf("process %d is suspended (Ctrl-Z, or SIGSTOP): fg in its terminal, or kill -CONT %d, has it "+
		"go on", e.PID, e.PID)
}

// pingEvery is as long as mcp.ping_interval is by default. A command that waits for the end of one
// process has nothing to say of the silence of the others: the machine may be busy.
const pingEvery = 15 * time.Second

func asked(ctx context.Context, e ops.Endpoint, log *slog.Logger) (*runningProcess, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("it was given %v", answerTime))
	defer cancel()
	self, err := client.Connect(ctx, e.Target(false), client.Options{Logger: log, PingInterval: pingEvery})
	if err != nil {
		return nil, err
	}
	p := &runningProcess{Endpoint: e, self: self, log: log}
	if err := p.tool(ctx, "status", struct{}{}, &p.status); err != nil {
		return nil, errors.Join(err, closing(ctx, self))
	}
	return p, nil
}

// tool calls a tool of the runtime.
func (p *runningProcess) tool(ctx context.Context, name string, in, out any) error {
	return p.reporting(ctx, name, in, out, nil)
}

// reporting is tool for one that reports how far it is.
func (p *runningProcess) reporting(ctx context.Context, name string, in, out any, back agent.BackChannel) error {
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := p.self.Call(ctx, &agent.Call{Op: agent.OpTool, Name: name, Input: input, From: ops.Operator,
		Attempt: 1, Back: back})
	if err != nil {
		return err
	}
	return res.Decode(out)
}

// hosts reports whether an agent lives in the process.
func (p *runningProcess) hosts(name string) bool {
	return slices.ContainsFunc(p.status.Agents, func(a runtime.AgentStatus) bool {
		return a.Name == name && slices.ContainsFunc(a.Instances,
			func(i runtime.InstanceStatus) bool { return i.Process == "" })
	})
}

// choose takes the process for a call to an agent: one that hosts it, else the oldest.
func (all processes) choose(agentName string) *runningProcess {
	best := slices.MaxFunc(all, func(a, b *runningProcess) int {
		return cmp.Or(order(a.hosts(agentName), b.hosts(agentName)),
			order(a.status.State == "ready", b.status.State == "ready"),
			b.status.Started.Compare(a.status.Started))
	})
	return best
}

// order puts true above false.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// note says which process a command works with.
func (all processes) note(say func(string, ...any), p *runningProcess) {
	of := ""
	if len(all) > 1 {
		of = fmt.Sprintf(", one of %d", len(all))
	}
	say("project %s runs already: using process %d%s", p.status.Project, p.status.PID, of)
}

// list lists what the agents of all processes offer.
func (all processes) list(ctx context.Context) (runtime.Listing, error) {
	var merged runtime.Listing
	for _, p := range all {
		var l runtime.Listing
		if err := p.tool(ctx, "list", struct{}{}, &l); err != nil {
			return merged, fmt.Errorf("process %d: %w", p.status.PID, err)
		}
		for name, instances := range l.Instances {
			l.Instances[name] = all.named(p, instances)
		}
		merged = merge(merged, l)
	}
	return merged, nil
}

// named writes into the instances that live in p where they live, when there are several processes,
// and leaves out those that another process of all has told of or will.
func (all processes) named(p *runningProcess, instances []runtime.InstanceStatus) []runtime.InstanceStatus {
	if len(all) == 1 {
		return instances
	}
	var own []runtime.InstanceStatus
	for _, i := range instances {
		switch {
		case i.Process == "":
			i.Process, i.Since, i.Version = p.Process, p.status.Started, p.status.Version
			i.Host, _ = os.Hostname() // it is for people, and may be missing
		case slices.ContainsFunc(all, func(other *runningProcess) bool { return other.Process == i.Process }):
			continue
		}
		own = append(own, i)
	}
	return own
}

// merge adds what more has and l has not.
func merge(l, more runtime.Listing) runtime.Listing {
	if l.Agents == nil {
		return more
	}
	for _, info := range more.Agents {
		at, known := slices.BinarySearchFunc(l.Agents, info.Name,
			func(have agent.Info, name string) int { return cmp.Compare(have.Name, name) })
		if !known {
			l.Agents = slices.Insert(l.Agents, at, info)
			if names, other := more.GatewayNames[info.Name]; other {
				if l.GatewayNames == nil {
					l.GatewayNames = map[string]map[string]string{}
				}
				l.GatewayNames[info.Name] = names
			}
		}
	}
	for name, instances := range more.Instances {
		for _, i := range instances {
			if !slices.ContainsFunc(l.Instances[name], func(have runtime.InstanceStatus) bool {
				return have.ID == i.ID && have.Process == i.Process
			}) {
				l.Instances[name] = append(l.Instances[name], i)
			}
		}
	}
	return l
}

// closing ends a session at the end of a command.
func closing(ctx context.Context, s *client.Session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.Close(ctx)
}
