package runtime_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// partOf is part with types of the test.
func partOf(t *testing.T, cfg project.Config, extra agent.Types, only ...string) *system {
	t.Helper()
	s := prepare(t, &cfg, extra, func(o *runtime.Options) { o.Only = only })
	s.run()
	return s
}

// offering is an agent with these tools.
type offering []string

func (o offering) Capabilities() agent.Capabilities {
	var c agent.Capabilities
	for _, name := range o {
		c.Tools = append(c.Tools, agent.NewTool(name, "", func(context.Context, note) (string, error) {
			return name, nil
		}))
	}
	return c
}

// offers is an agent with these tools.
type offers []agent.Tool

func (o offers) Capabilities() agent.Capabilities { return agent.Capabilities{Tools: o} }

// An agent that is hosted here and elsewhere stays when the other process leaves.
func TestHostedHereAndElsewhere(t *testing.T) {
	dir, cfg := t.TempDir(), pair(project.OverLocal)
	a := part(t, dir, cfg, "near", "far").ready()
	b := part(t, dir, cfg, "near", "far").ready()
	both := func(s *system) func() bool { return func() bool { return len(s.agentStatus("far").Instances) == 2 } }
	testkit.Eventually(t, "a sees both", both(a))
	testkit.Eventually(t, "b sees both", both(b))
	a.stop()
	if err := a.wait(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "b is alone", func() bool { return len(b.agentStatus("far").Instances) == 1 })
	if out, err := agent.Ask[string](b.ctx, "near.relay", nil); err != nil || out != "near at depth 1" {
		t.Errorf("%q, %v", out, err)
	}
}

// A process that is replaced by one whose agent offers something else: the others notice, and calls
// in flight go on.
func TestAnAgentElsewhereChanges(t *testing.T) {
	cfg := *pair(project.OverLocal)
	cfg.Dir, cfg.Broker.Type = t.TempDir(), project.BrokerNATS
	cfg.Agents = map[string]project.Agent{"near": {Type: "probe"}, "far": {Type: "offering"}}
	version := func(tools ...string) agent.Types {
		return agent.Types{"offering": func() agent.Agent { return offering(tools) }}
	}
	a := partOf(t, cfg, version("one"), "near").ready()
	b := partOf(t, cfg, version("one"), "far").ready()
	offers := func(tools ...string) func() bool {
		return func() bool {
			info, _ := a.Directory().Agent("far")
			var names []string
			for _, tool := range info.Tools {
				names = append(names, tool.Name)
			}
			return slices.Equal(names, tools)
		}
	}
	testkit.Eventually(t, "a knows far", offers("one"))
	partOf(t, cfg, version("one", "two"), "far").ready()
	b.stop()
	if err := b.wait(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "a knows what far offers now", offers("one", "two"))
	if out, err := agent.Ask[string](a.ctx, "far.two", nil); err != nil || out != "two" {
		t.Errorf("%q, %v", out, err)
	}
}

// A process that stops in order answers what it has begun.
func TestCallsOfOtherProcessesEnd(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub, project.OverStdio} {
		t.Run(over, func(t *testing.T) {
			dir, cfg := t.TempDir(), pair(over)
			a, b := part(t, dir, cfg, "near").ready(), part(t, dir, cfg, "far").ready()
			testkit.Eventually(t, "a knows far", func() bool { _, ok := a.Directory().Agent("far"); return ok })
			answers, end := make(chan error, 20), filepath.Join(t.TempDir(), "end")
			for n := range cap(answers) {
				go func() {
					out, err := agent.Ask[note](a.ctx, "far.wait", note{Text: end, N: n})
					if err == nil && out.N != n {
						err = fmt.Errorf("answered %d", out.N)
					}
					answers <- err
				}()
			}
			testkit.Eventually(t, "far is busy", func() bool { return inFlight(b) == cap(answers) })
			b.stop()
			testkit.Eventually(t, "b drains", func() bool { return b.Status().State == "draining" })
			if err := os.WriteFile(end, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for range cap(answers) {
				if err := testkit.Receive(t, answers); err != nil {
					t.Error(err)
				}
			}
			if err := b.wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A process that stops, alone with its agents or handing them over to another, keeps its Runners
// until the calls of other processes have ended: those may need them.
func TestRunnersOutliveTheCallsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub} {
		for _, replicas := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s in %d processes", over, replicas), func(t *testing.T) {
				cfg := project.Config{Dir: t.TempDir(), Broker: project.Broker{Type: project.BrokerNATS},
					Agents: map[string]project.Agent{
						"near": {Type: "probe"}, "far": {Type: "held", Communicator: over}, "run": {Type: "runs"}}}
				d, begun, cancelled := &diary{}, make(chan struct{}), make(chan struct{})
				held := func(ctx context.Context, _ note) (string, error) {
					close(begun)
					select {
					case <-cancelled:
					case <-ctx.Done():
					case <-time.After(moment): // for a Runner to be cancelled in error
					}
					d.write("the call ends")
					return "held", nil
				}
				types := agent.Types{
					"held": func() agent.Agent { return offers{agent.NewTool("hold", "", held)} },
					"runs": func() agent.Agent {
						return &runs{run: func(ctx context.Context) error {
							<-ctx.Done()
							d.write("the Runner is cancelled")
							close(cancelled)
							return nil
						}}
					},
				}
				a, b := partOf(t, cfg, types, "near").ready(), partOf(t, cfg, types, "far", "run").ready()
				testkit.Eventually(t, "a knows far", func() bool { _, ok := a.Directory().Agent("far"); return ok })
				answer := make(chan error, 1)
				go func() {
					_, err := agent.Ask[string](a.ctx, "far.hold", nil)
					answer <- err
				}()
				<-begun
				if replicas > 1 {
					partOf(t, cfg, types, "far").ready()
					testkit.Eventually(t, "b is not alone", func() bool {
						return len(b.agentStatus("far").Instances) == replicas
					})
				}
				b.stop()
				if err := <-answer; err != nil {
					t.Error(err)
				}
				if err := b.wait(); err != nil {
					t.Error(err)
				}
				if got := d.read(); got != "the call ends; the Runner is cancelled" {
					t.Error(got)
				}
			})
		}
	}
}

// Of the calls in flight, those of this process are not other processes' work, whichever way they
// take.
func TestOnlyCallsOfOtherProcessesAreWaitedFor(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverPubSub} {
		t.Run(over, func(t *testing.T) {
			dir, cfg := t.TempDir(), pair(over)
			cfg.Drain.Timeout = moment
			a, b := part(t, dir, cfg, "near").ready(), part(t, dir, cfg, "far").ready()
			testkit.Eventually(t, "a knows far", func() bool { _, ok := a.Directory().Agent("far"); return ok })
			var calls sync.WaitGroup
			end := filepath.Join(t.TempDir(), "end") // none of the calls ends before the drain
			for _, s := range []*system{a, b, b} {
				calls.Go(func() { // it is cut, or outlives the drain
					_, _ = agent.Ask[note](s.ctx, "far.wait", note{Text: end})
				})
			}
			testkit.Eventually(t, "far is busy", func() bool { return inFlight(b) == 3 })
			b.stop()
			if err := b.wait(); err == nil || !strings.Contains(err.Error(), "1 calls of other processes still in "+
				"flight") {
				t.Errorf("error: %v", err)
			}
			if err := os.WriteFile(end, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			calls.Wait()
		})
	}
}

func inFlight(s *system) (n int) {
	for _, i := range s.agentStatus("far").Instances {
		if i.Process == "" {
			n += i.InFlight
		}
	}
	return n
}

// While one of two replicas in two processes stops, no call fails.
func TestAReplicaStops(t *testing.T) {
	t.Parallel()
	dir, cfg := t.TempDir(), pair(project.OverLocal)
	a, b, c := part(t, dir, cfg, "near").ready(), part(t, dir, cfg, "far").ready(), part(t, dir, cfg, "far").ready()
	testkit.Eventually(t, "a sees both", func() bool {
		_, ok := a.Directory().Agent("far")
		return ok && len(a.agentStatus("far").Instances) == 2
	})
	testkit.Eventually(t, "c knows that it is not alone", func() bool {
		return len(c.agentStatus("far").Instances) == 2
	})
	// Calls that end with this file, until c holds one, which keeps it from ending.
	end, held, n := filepath.Join(t.TempDir(), "end"), make(chan error, 16), 0
	for ; inFlight(c) == 0; n++ {
		if n == cap(held) {
			t.Fatalf("none of %d calls came to c", n)
		}
		go func() {
			_, err := agent.Ask[note](a.ctx, "far.wait", note{Text: end})
			held <- err
		}()
		testkit.Eventually(t, "the call arrives", func() bool { return inFlight(b)+inFlight(c) > n })
	}
	c.stop()
	done := make(chan error, 1)
	go func() { done <- c.wait() }()
	bounded, cancel := context.WithTimeout(a.ctx, hang)
	defer cancel()
	made := 0
	for ended := false; !ended; made++ {
		if _, err := agent.Ask[note](bounded, "far.say", nil); err != nil {
			t.Fatalf("call %d: %v", made, err)
		}
		if made == 20 {
			touch(t, end)
		}
		select {
		case err := <-done:
			if ended = true; err != nil {
				t.Error(err)
			}
		default:
		}
	}
	for range n {
		if err := testkit.Receive(t, held); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d calls meanwhile", made)
}

func TestManyAgentsElsewhere(t *testing.T) {
	t.Parallel()
	cfg := project.Config{Project: "many", Dir: t.TempDir(),
		Agents: map[string]project.Agent{"near": {Type: "probe"}},
		Broker: project.Broker{Type: project.BrokerNATS}}
	var names []string
	for n := range 100 {
		names = append(names, fmt.Sprintf("far-%d", n))
		cfg.Agents[names[n]] = project.Agent{Type: "probe"}
	}
	a := partOf(t, cfg, nil, "near").ready()
	b := partOf(t, cfg, nil, names...).ready()
	began := time.Now()
	testkit.Eventually(t, "a knows all", func() bool { return len(a.Directory().Agents()) == 102 })
	t.Logf("100 agents of another process were known %v after it was ready", time.Since(began).Round(time.Millisecond))
	b.stop()
	if err := b.wait(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "all are gone", func() bool { return len(a.Directory().Agents()) == 2 })
}

// shared is a broker that the test brings: that of two runtimes, which close it in their turn.
type shared struct{ *pubsub.Memory }

func (shared) Close() error { return nil }

func TestOwnDriver(t *testing.T) {
	m := pubsub.NewMemory(pubsub.MemoryOptions{})
	defer m.Close()
	dir, cfg := t.TempDir(), *pair(project.OverPubSub)
	cfg.Dir, cfg.Broker = dir, project.Broker{Type: "shared", Options: map[string]any{"room": "green"}}
	told := make(chan runtime.DriverOptions, 2)
	with := func(only string) *system {
		c := cfg
		s := prepare(t, &c, nil, func(o *runtime.Options) {
			o.Only = []string{only}
			o.Drivers = map[string]runtime.NewDriver{"shared": func(_ context.Context, o runtime.DriverOptions) (
				pubsub.Driver, error) {
				told <- o
				return shared{m}, nil
			}}
		})
		s.run()
		return s
	}
	a, b := with("near"), with("far")
	a.ready()
	b.ready()
	for range 2 {
		if o := <-told; o.Options["room"] != "green" || o.Project != "pair" && o.Project == "" || o.Process == "" ||
			o.Dir != dir || o.Logger == nil {
			t.Errorf("%+v", o)
		}
	}
	testkit.Eventually(t, "a reaches far", func() bool {
		out, err := agent.Ask[string](a.ctx, "near.relay", nil)
		return err == nil && out == "near at depth 1"
	})

	_, err := runtime.New(&cfg, types(nil), runtime.Options{})
	if err == nil || !strings.Contains(err.Error(), `broker.type: this program has no broker "shared"`) ||
		!strings.Contains(err.Error(), "memory, nats") {
		t.Errorf("no driver: %v", err)
	}
}
