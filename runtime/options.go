package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/nearest"
	"github.com/openmas/openmas/runtime/internal/child"
	"github.com/openmas/openmas/runtime/project"
)

// A Mode is what a process does for its project:
//
//	              hosts                     gateway's listener   Runners   Run returns
//	ModeServe     Options.Only, else all    yes                  yes       when its context ends
//	ModeOnce      Options.Only, else all    yes                  yes       when every Runner has ended
//	ModePassive   Options.Only, else all    no                   no        when its context ends
//	ModeObserve   nothing                   no                   no        when its context ends
//
// In every mode the context's end, or the failure of a critical agent, ends the run. Options.Only
// and ModeObserve need a broker that other processes reach: [New] refuses them with the memory
// broker, and Options.Only with ModeObserve.
type Mode int

const (
	// ModeServe runs the project.
	ModeServe Mode = iota
	// ModeOnce runs the project as a job that has an end. A Runner that fails more often than
	// restart.limit allows has failed at once, without restart.backoff.
	ModeOnce
	// ModePassive is for a program that wants to call the agents and nothing else.
	ModePassive
	// ModeObserve reaches what other processes of the project host. It is ready when those that run
	// have reported: half a second after the last one, or a second after the start.
	ModeObserve
)

// calm: without the gateway's listener and the Runners.
func (m Mode) calm() bool { return m == ModePassive || m == ModeObserve }

// check refuses what the table of [Mode] rules out.
func (o Options) check(cfg *project.Config) error {
	memory := cfg.Broker.Type == project.BrokerMemory
	switch {
	case os.Getenv(ChildVar) != "": // it would start itself without end
		return fmt.Errorf("this process was started for one agent (%s is set): main has to call runtime.ServeChild "+
			"then, and nothing else", ChildVar)
	case o.Mode < ModeServe || o.Mode > ModeObserve:
		return fmt.Errorf("there is no mode %d", o.Mode)
	case o.Mode == ModeObserve && len(o.Only) > 0:
		return errors.New("a process that observes hosts nothing, and so no agents alone")
	case len(o.Only) > 0 && memory:
		return errors.New("--agents hosts a part of the project, which needs a broker that other processes can " +
			"reach; the memory broker is this process's own")
	case o.Mode == ModeObserve && memory:
		return errors.New("there is nothing to observe: the memory broker is this process's own, and other " +
			"processes cannot be reached over it")
	}
	return nil
}

// Options are what a program decides, where a [project.Config] is what a project decides. The zero
// value will do.
type Options struct {
	// Logger gets the runtime's and the agents' log, the project's secrets masked. Default: none.
	Logger *slog.Logger
	// Output is where agents write results: see [agent.Env]. Default: standard output.
	Output io.Writer
	// Mode is what this process does for the project. Default: [ModeServe].
	Mode Mode
	// Only hosts these agents of the project; empty: all. See [Mode].
	Only []string
	// Version of the program, for status and MCP clients.
	Version string
	// BrokerWait is how long a broker that is down at start is waited for; 0: for as long as it
	// takes, negative: not at all.
	BrokerWait time.Duration
	// TracerProvider makes the spans of calls, in place of what the project file and the
	// environment say of their export. It is for programs that have OpenTelemetry set up; they shut
	// it down, after Run has returned. All spans are of its one service then. It is not for child
	// processes.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the instruments, in place of /metrics and of what the project file and
	// the environment say of their export. Whose it is shuts it down, after Run has returned. It is
	// not for child processes.
	MeterProvider metric.MeterProvider
	// Drivers are brokers of the program's own, by the word under broker.type that chooses one.
	Drivers map[string]NewDriver
	// Strict fails the start when any agent cannot be reached at first, as if all were critical
	// until the system is ready.
	Strict bool
	// Impatient: the start waits only for the programs and servers that an agent of this process
	// requires, and not for start.wait. [Runtime.Tried] waits for one of the others.
	Impatient bool
	// OnReady is called once, when every agent is up and the gateway answers.
	OnReady func(Status)
	// Child starts a child process of this program that ends up in [ServeChild]: argv, and
	// variables to add to its environment. Default: the executable itself with OPENMAS_CHILD=1.
	Child    []string
	ChildEnv map[string]string
	// Program returns a program that has the types in place of this one, as it is now: each agent
	// of a type runs in a child process of it, whatever its communicator is. [New] and each reload
	// ask it what its agents offer, and a reload replaces those that run in an earlier one. It may
	// be called by any goroutine. nil: the types are this program's.
	Program func() Program
	// Load reads the project's configuration anew, for `openmas reload`. nil: it cannot be read.
	Load func() (*project.Config, error)
	// ServesChildren: the executable itself ends up in [ServeChild] when it is started with
	// OPENMAS_CHILD=1. Then it also is the process that ends the programs which agents run as, if
	// this process is killed. It goes without saying where Child is set, or the project has child
	// processes of this program.
	ServesChildren bool
}

// ChildVar is set in the environment of a child process of this program: its main calls
// [ServeChild] then.
const ChildVar = "OPENMAS_CHILD"

// A Program has the types of a project's agents in place of the one that runs the project: see
// [Options].Program.
type Program struct {
	// Command is its argument vector. Started with OPENMAS_CHILD=1, it ends up in [ServeChild].
	Command []string
	// Dir and Env are the working directory and the environment of agents that would run in the
	// process of the project otherwise. The others have what children have.
	Dir string
	Env map[string]string
}

// A source is where agents of types come from: this program, or another one.
type source struct {
	types   agent.Types
	program *Program // nil: it is this one
	inside  map[string]bool
	answers child.Answers
}

// newSource returns where the agents of types of cfg come from. If it is another program, they are
// children in the configuration that it returns.
func newSource(cfg *project.Config, types agent.Types, o Options) (*project.Config, source) {
	if o.Program == nil {
		return cfg, source{types: types}
	}
	program := o.Program()
	from := source{program: &program, inside: map[string]bool{}}
	next := *cfg
	next.Agents = maps.Clone(cfg.Agents)
	for name, a := range next.Agents {
		if a.Kind() == project.KindType {
			from.inside[name] = a.Communicator != project.OverStdio
			a.Communicator = project.OverStdio
			next.Agents[name] = a
		}
	}
	return &next, from
}

// ask asks another program about the agents of types in cfg.
func (from *source) ask(ctx context.Context, cfg *project.Config, log *slog.Logger) (err error) {
	questions := map[string]child.Question{}
	for name := range from.inside {
		questions[name] = child.Question{Type: cfg.Agents[name].Type, Config: cfg.Agents[name].Config}
	}
	if len(questions) == 0 {
		return nil
	}
	if len(from.program.Command) == 0 {
		return errors.New("no program has the types of the agents: package: names the Go package that has them")
	}
	env := []string{ChildVar + "=1"}
	for name, value := range from.program.Env {
		env = append(env, name+"="+value)
	}
	from.answers, err = child.Ask(ctx, from.program.Command, env, from.program.Dir, questions,
		child.Patience{}, log)
	return err
}

// howToDeclare says how the project file declares an agent that is not there.
func (from *source) howToDeclare(name string) string {
	if _, ok := from.types[name]; ok || slices.Contains(from.answers.Types, name) {
		return fmt.Sprintf("add it below agents: %s: {type: %s}", name, name)
	}
	return fmt.Sprintf("add it below agents: %s: {type: TYPE}, %s: {command: [PROGRAM]} or %s: {url: URL}", name, name,
		name)
}

// unknownType is the answer to a type that a program does not have.
func unknownType(cfg *project.Config, name string, known []string) error {
	kind := cfg.Agents[name].Type
	e := cfg.Errorf([]string{"agents", name, "type"}, "agent %s: this program has no type %q", name, kind)
	if e.Hint = nearest.Hint(kind, known); len(known) == 0 {
		e.Hint = "name the Go package that has it under package:"
	}
	return e
}

// NewDriver connects to a broker that is not built in, for a project file with that broker's name
// under broker.type. It returns when the connection stands. The runtime closes the driver, after
// everything that uses it. All processes of the project share the broker: see [pubsub.Driver] for
// what it has to do.
type NewDriver func(ctx context.Context, o DriverOptions) (pubsub.Driver, error)

// DriverOptions are what a driver may need to know.
type DriverOptions struct {
	// Project is the project's name, which every subject has in it already, and Process the name of
	// this process, unique in the project.
	Project, Process string
	// Dir is the project file's folder: relative paths start there.
	Dir string
	// Options are what the project file has under broker.options, references to the environment and
	// to files resolved: a driver decodes them with [project.Fill], strictly.
	Options map[string]any
	// Wait is how long a broker that is down is waited for; 0: for as long as it takes, negative:
	// not at all.
	Wait time.Duration
	// Logger is for what no call can return. Secrets of the project file never get out of it.
	Logger *slog.Logger
}

// checkDriver checks that there is a driver for the project's broker.
func checkDriver(c *project.Config, drivers map[string]NewDriver) error {
	for name, d := range drivers {
		if name == project.BrokerMemory || name == project.BrokerNATS || name == "" || d == nil {
			return errors.New("a driver needs a name that is not built in, and a function: " + name)
		}
	}
	if t := c.Broker.Type; t != project.BrokerMemory && t != project.BrokerNATS && drivers[t] == nil {
		e := c.Errorf([]string{"broker", "type"}, "broker.type: this program has no broker %q", t)
		e.Hint = nearest.Hint(t, append(slices.Sorted(maps.Keys(drivers)), project.BrokerMemory, project.BrokerNATS))
		return e
	}
	return nil
}
