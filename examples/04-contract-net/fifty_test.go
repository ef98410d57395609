package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas"
	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/pattern"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
)

// mainVar in the environment makes the test binary a program with the agents of the test.
const mainVar = "OPENMAS_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVar) != "" || os.Getenv(runtime.ChildVar) != "" {
		openmas.Main(agent.Types{
			"auctioneer": func() agent.Agent { return &patient{} },
			"bidder":     func() agent.Agent { return &bidder{} },
		})
	}
	os.Exit(m.Run())
}

// A patient auctioneer begins when all bidders are there.
type patient struct {
	Jobs     int           `json:"jobs"`
	Deadline time.Duration `json:"deadline"`
	Bidders  int           `json:"bidders"`

	env agent.Env
}

func (p *patient) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func (p *patient) Start(_ context.Context, env agent.Env) error { p.env = env; return nil }

func (p *patient) Run(ctx context.Context) error {
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		all, err := pattern.Offering(ctx, "offer", "carry")
		if err != nil {
			return err
		}
		if len(all) >= p.Bidders {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a := &Auctioneer{Jobs: p.Jobs, Deadline: p.Deadline}
	if err := a.Start(ctx, p.env); err != nil {
		return err
	}
	return a.Run(ctx)
}

// A bidder writes what it carries into a ledger.
type bidder struct {
	Rate   int           `json:"rate"`
	Silent bool          `json:"silent"`
	Late   time.Duration `json:"late"`
	Killed bool          `json:"killed"` // its process, when it gets a job
	Ledger string        `json:"ledger"`

	name string
}

func (b *bidder) Start(_ context.Context, env agent.Env) error { b.name = env.Name; return nil }

func (b *bidder) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("offer", "", b.offer, agent.ReadOnly()), agent.NewTool("carry", "", b.carry)}}
}

func (b *bidder) offer(ctx context.Context, j Job) (Offer, error) {
	if b.Silent {
		<-ctx.Done()
		return Offer{}, ctx.Err()
	}
	if b.Late > 0 {
		<-time.After(b.Late) // it does not care that nobody waits any more
	}
	return Offer{b.Rate * j.Weight / 100}, nil
}

func (b *bidder) carry(ctx context.Context, a pattern.Award[Job, Offer]) (string, error) {
	if b.Killed {
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			return "", err
		}
		<-ctx.Done() // the signal is on its way
		return "", ctx.Err()
	}
	f, err := os.OpenFile(b.Ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(f, "job %d by %s\n", a.Task.Number, b.name)
	return "carries " + a.Task.What, errors.Join(err, f.Close())
}

const (
	bidders = 50
	jobs    = 2
	// deadline is for bids. A process that was killed has to be up again within it, so that it bids
	// for the next job.
	deadline = 10 * time.Second
)

// fifty is a project file with fifty bidders, of which five are silent and five late. The cheapest
// one is killed when it gets a job.
func fifty(broker, over, overKilled, ledger, state string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "project: fifty\nstate: %q\nbroker: {type: %s}\nagents:\n"+
		"  auctioneer: {type: auctioneer, config: {jobs: %d, deadline: %s, bidders: %d}}\n", state, broker, jobs,
		deadline, bidders)
	for n := range bidders {
		how, more := over, ""
		switch {
		case n == 0:
			how, more = overKilled, ", killed: true"
		case n <= 5:
			more = ", silent: true"
		case n <= 10:
			more = fmt.Sprintf(", late: %s", deadline+time.Second)
		}
		env := ""
		if how == "mcp-stdio" {
			env = ", env: {GORACE: atexit_sleep_ms=0}"
		}
		fmt.Fprintf(&b, "  bidder%02d: {type: bidder, communicator: %s%s, config: {rate: %d, ledger: %q%s}}\n", n, how,
			env, 10+n, ledger, more)
	}
	return b.String()
}

// Each job is done once, by the second best, whatever leads to the bidders.
func TestFifty(t *testing.T) {
	var rest []string
	for n := 1; n < bidders; n++ {
		rest = append(rest, fmt.Sprintf("bidder%02d", n))
	}
	for name, tt := range map[string]struct {
		broker, over, overKilled string
		beside                   []string // agents of processes beside the auctioneer's
	}{
		"local": {"memory", "local", "mcp-stdio", nil}, // who is killed needs a process to be killed with
		"stdio": {"memory", "mcp-stdio", "mcp-stdio", nil},
		"nats":  {"nats", "local", "local", []string{strings.Join(rest, ","), "bidder00"}},
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Processes(t)
			t.Parallel()
			dir := t.TempDir()
			file, ledger := filepath.Join(dir, "openmas.yaml"), filepath.Join(dir, "ledger")
			text := fifty(tt.broker, tt.over, tt.overKilled, ledger, filepath.Join(dir, "state"))
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, agents := range tt.beside {
				p := launch(t, file, "--agents", agents)
				p.err.Await(t, "msg=ready")
			}
			args := []string{"--once"}
			if tt.beside != nil {
				args = append(args, "--agents", "auctioneer")
			}
			p := launch(t, file, args...)
			select {
			case <-p.ended:
			case <-time.After(3 * time.Minute):
				t.Fatalf("it does not end\n%s\n%s", &p.out, &p.err)
			}
			p.check(t, ledger, tt.beside != nil)
		})
	}
}

// check compares what was reported with what was done. gone: who was killed does not come back.
func (p *program) check(t *testing.T, ledger string, gone bool) {
	t.Helper()
	b, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, &p.out, &p.err)
	}
	done := strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(b)), " ", "-"))
	if slices.Sort(done); !slices.Equal(done, []string{"job-1-by-bidder11", "job-2-by-bidder11"}) {
		t.Errorf("done: %v", done)
	}
	for n, report := range strings.Split(p.out.String(), "\njob ") {
		bids := strings.Count(report, " bids ")
		failed := strings.Count(report, "got it first, and failed: outcome_unknown")
		silent, won := strings.Count(report, "does not bid: deadline_exceeded"), strings.Count(report, "  carries ")
		if gone && n > 0 && failed == 0 && bids == bidders-11 && silent == 10 && won == 1 {
			continue
		}
		if failed != 1 || bids != bidders-10 || silent != 10 || won != 1 {
			t.Errorf("%d failed, %d bid, %d are silent or late, %d won:\n%s", failed, bids, silent, won, report)
		}
	}
	if t.Failed() {
		t.Logf("the log:\n%s", &p.err)
	}
}

// A program is a process of the test's project.
type program struct {
	*exec.Cmd
	out, err testkit.Buffer
	ended    chan struct{}
}

func launch(t *testing.T, file string, args ...string) *program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{Cmd: exec.Command(exe, append([]string{"run", file}, args...)...), ended: make(chan struct{})}
	p.Env = append(os.Environ(), mainVar+"=1", "GORACE="+testkit.NoExitSleep)
	p.Stdout, p.Stderr = &p.out, &p.err
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // the report says how it went
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		<-p.ended
	})
	return p
}
