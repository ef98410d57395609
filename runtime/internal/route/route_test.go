package route

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/internal/resilience"
	"github.com/openmas/openmas/runtime/project"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// session is a session that does what the test wants.
type session struct {
	name string
	call func(context.Context) error
}

func (s *session) Info() agent.Info {
	return agent.Info{Name: "inner", Description: s.name, Tools: []agent.ToolInfo{
		{Name: "read", Annotations: &agent.Annotations{ReadOnly: true}}, {Name: "write"}}}
}

func (s *session) Call(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
	if s.call != nil {
		if err := s.call(ctx); err != nil {
			return nil, err
		}
	}
	return &agent.Result{Content: []agent.Content{agent.Text(s.name)}}, nil
}

func (s *session) Close(context.Context) error { return nil }

func callee(o Options) *Callee {
	o.Name, o.Mask = "a", func(err error) error { return err }
	o.TimeoutKey = func(string) string { return "" }
	o.Budget = resilience.NewBudget(resilience.DefaultBudgetPolicy())
	if o.Policy.Timeout == 0 {
		o.Policy.Timeout = time.Minute
	}
	return New(o)
}

func TestTheLeastLoadedInstanceServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 3)
		hold := make(chan struct{})
		for _, i := range p.Instances() {
			i.Up(&session{name: i.ID, call: func(context.Context) error { <-hold; return nil }})
		}
		for range 9 {
			go func() {
				if _, err := p.Call(t.Context(), &agent.Call{}); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		for _, i := range p.Instances() {
			if i.InFlight() != 3 || i.Served() != 3 {
				t.Errorf("%s has %d calls, was given %d", i.ID, i.InFlight(), i.Served())
			}
		}
		p.Instances()[1].Down(Restarting, errors.New("gone"))
		for range 2 {
			go func() { _, _ = p.Call(t.Context(), &agent.Call{}) }()
		}
		synctest.Wait()
		if n := p.Instances()[1].InFlight(); n != 3 {
			t.Errorf("an instance that is down got another call: %d", n)
		}
		close(hold)
		synctest.Wait()
	})
}

func TestAPoolWithoutSessions(t *testing.T) {
	p := NewPool("a", 2)
	if p.Known() || p.Info().Name != "a" {
		t.Error("nobody has said anything yet")
	}
	p.Learn(agent.Info{Name: "a", Description: "known"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := p.Call(ctx, &agent.Call{Agent: "a", Name: "x"})
	if !p.Known() || p.Info().Description != "known" || agent.CodeOf(err) != agent.CodeDeadlineExceeded ||
		!agent.AsError(err).NotExecuted || !strings.Contains(err.Error(), "agent a is starting") {
		t.Error(p.Info(), err)
	}
	p.Instances()[1].Down(Failed, nil)
	for want, why := range map[string]error{"agent a has failed: no luck": errors.New("no luck"),
		"agent a has failed: gone": agent.Errorf(agent.CodeNotFound, "gone")} {
		p.Instances()[0].Down(Failed, why)
		if _, err := p.Call(t.Context(), &agent.Call{Agent: "a", Name: "x"}); err.Error() != "unavailable: a.x: "+want {
			t.Error(err)
		}
	}
	p.Instances()[0].DownFor(time.Minute, Failed, nil)
	if err := p.Down(); !strings.HasSuffix(err.Error(), "gone; it is tried again in 1m0s") &&
		!strings.HasSuffix(err.Error(), "no luck; it is tried again in 1m0s") {
		t.Error(err)
	}
	p.Instances()[0].Down(Starting, nil)
	if err := p.Down(); !strings.HasPrefix(err.Error(), "agent a is starting, its last attempt failed: ") {
		t.Error(err)
	}
	i := p.Instances()[1]
	i.Up(&session{})
	if err := i.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if now := i.Look(); now.State != Stopped || i.Session() != nil {
		t.Error(now.State, "after Stop")
	}
}

// A call that was not sent waits for an instance that is about to be there, within its deadline and
// within ReadyWait, and for no other.
func TestACallWaitsForAnInstance(t *testing.T) {
	ended := fmt.Errorf("%w: %w", agent.Refusedf(agent.CodeUnavailable, "gone"), communicator.ErrEnded)
	for name, tt := range map[string]struct {
		before   func(*Instance)
		after    func(*Instance) // half a second later
		deadline time.Duration
		takes    time.Duration
		want     agent.Code
	}{
		"starts": {func(*Instance) {}, up, time.Minute, 500 * time.Millisecond, ""},
		"restarts": {func(i *Instance) { i.DownFor(time.Second, Restarting, errors.New("no")) }, up, time.Minute,
			500 * time.Millisecond, ""},
		"never": {func(i *Instance) { i.Down(Restarting, nil) }, nil, time.Minute, DefaultLimits().ReadyWait, agent.CodeUnavailable},
		"deadline": {func(i *Instance) { i.Down(Restarting, nil) }, nil, time.Second, time.Second,
			agent.CodeDeadlineExceeded},
		"fails": {func(i *Instance) { i.Down(Starting, nil) }, func(i *Instance) { i.Down(Failed, nil) }, time.Minute,
			500 * time.Millisecond, agent.CodeUnavailable},
		"has failed": {func(i *Instance) { i.DownFor(time.Second, Failed, nil) }, nil, time.Minute, 0,
			agent.CodeUnavailable},
		"is tried later": {func(i *Instance) { i.DownFor(11*time.Second, Restarting, nil) }, nil, time.Minute, 0,
			agent.CodeUnavailable},
		"is tried after the deadline": {func(i *Instance) { i.DownFor(2*time.Second, Backoff, nil) }, nil, time.Second,
			0, agent.CodeUnavailable},
		"stops": {func(i *Instance) { i.Down(Starting, nil) }, func(i *Instance) { _ = i.Stop(t.Context()) },
			time.Minute, 500 * time.Millisecond, agent.CodeUnavailable},
		"has ended": {func(i *Instance) { i.Up(&session{call: func(context.Context) error { return ended }}) }, up,
			time.Minute, 500 * time.Millisecond, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPool("a", 1)
				tt.before(p.Instances()[0])
				if tt.after != nil {
					time.AfterFunc(500*time.Millisecond, func() { tt.after(p.Instances()[0]) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), tt.deadline)
				defer cancel()
				ctx, sent := calls.Sent(ctx)
				began := time.Now()
				_, err := p.Call(ctx, &agent.Call{Agent: "a", Name: "x"})
				if sent.Queued != tt.takes {
					t.Errorf("the span would have %v", sent.Queued)
				}
				if took := time.Since(began); agent.CodeOf(err) != tt.want || took != tt.takes {
					t.Errorf("after %v: %v", took, err)
				}
				if err != nil && !agent.AsError(err).NotExecuted {
					t.Errorf("%+v", err)
				}
			})
		})
	}
}

// A call that looks at an instance in the moment in which that comes back is served.
func TestACallMeetsAnInstanceThatComesBack(t *testing.T) {
	p := limited(1, Limits{InFlight: 4}, func(context.Context) error { return nil })
	i := p.Instances()[0]
	s := i.Session()
	var all sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "read"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20_000 {
		if err := i.Hold(t.Context(), Restarting, nil); err != nil {
			t.Fatal(err)
		}
		i.Down(Restarting, nil)
		i.Up(s)
	}
	end()
	all.Wait()
}

// A call waits once, and not at each attempt anew.
func TestACallWaitsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 1)
		c := callee(Options{Over: project.OverStdio, Route: p, Shown: p,
			Policy: project.Policy{Retry: project.Retry{Attempts: 3, Initial: time.Second, Multiplier: 2,
				Max: time.Second}}})
		began := time.Now()
		_, err := c.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "read"})
		if took := time.Since(began); agent.CodeOf(err) != agent.CodeUnavailable || took != DefaultLimits().ReadyWait {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func up(i *Instance) { i.Up(&session{}) }

// An instance that stops takes no more calls, and answers those that it has.
func TestAnInstanceThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 1)
		i, hold := p.Instances()[0], make(chan struct{})
		i.Up(&session{call: func(context.Context) error { <-hold; return nil }})
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := p.Call(t.Context(), &agent.Call{}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if err := i.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if _, err := p.Call(t.Context(), &agent.Call{}); agent.CodeOf(err) != agent.CodeUnavailable ||
			!agent.AsError(err).NotExecuted || i.Served() != 1 ||
			!strings.HasSuffix(err.Error(), "agent a is stopping") {
			t.Errorf("a call while it stops: %v, of %d", err, i.Served())
		}
		close(hold)
		all.Wait()
		if state := i.Look().State; state != Stopped {
			t.Error(state)
		}
	})
}

// While an instance stops, the others get the calls, though it has the fewest. Those with a key
// stay with the instance that keeps their results.
func TestTheOthersServeWhileOneStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 2)
		stops, hold := p.Instances()[0], make(chan struct{})
		for _, i := range p.Instances() {
			i.Up(&session{call: func(context.Context) error { <-hold; return nil }})
		}
		var all sync.WaitGroup
		call := func() {
			if _, err := p.Call(t.Context(), &agent.Call{}); err != nil {
				t.Error(err)
			}
		}
		for range 2 {
			all.Go(call) // one at each
			synctest.Wait()
		}
		all.Go(func() {
			if err := stops.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 3 {
			all.Go(call)
			synctest.Wait()
		}
		if one, other := stops.Served(), p.Instances()[1].Served(); one != 1 || other != 4 {
			t.Errorf("it served %d calls, the other one %d", one, other)
		}
		for n := range 20 {
			c := &agent.Call{Op: agent.OpTool, Key: strconv.Itoa(n)}
			if n, _ := p.byKey(c, nil); p.Instances()[n] == stops {
				if _, err := p.Call(t.Context(), c); agent.CodeOf(err) != agent.CodeUnavailable {
					t.Error(err)
				}
			}
		}
		close(hold)
		all.Wait()
	})
}

// A tool with a policy of its own has its deadline, all others that of the agent.
func TestToolsHaveTheirOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := agent.CallerFunc(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		c := callee(Options{Route: hangs, Shown: NewPool("a", 1), Over: project.OverLocal,
			Policy:       project.Policy{Timeout: time.Minute},
			ToolPolicies: map[string]project.Policy{"slow": {Timeout: time.Hour}}})
		for range 2 {
			for op, want := range map[*agent.Call]time.Duration{
				{Op: agent.OpTool, Name: "slow"}:     time.Hour,
				{Op: agent.OpTool, Name: "other"}:    time.Minute,
				{Op: agent.OpResource, Name: "slow"}: time.Minute,
			} {
				began := time.Now()
				_, err := c.Call(t.Context(), op)
				if took := time.Since(began); took != want || agent.CodeOf(err) != agent.CodeDeadlineExceeded {
					t.Errorf("%s %s ended after %v: %v", op.Op, op.Name, took, err)
				}
			}
		}
		if s := c.Stats(); s.Calls != 6 || s.Failures != 6 || s.Busy != 2*(time.Hour+2*time.Minute) ||
			c.UnderWay() != 0 {
			t.Errorf("%+v, %d under way", s, c.UnderWay())
		}
	})
}

// What is repeated: what the tool declares and the project file allows, over a wire only.
func TestRepeatable(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		call       agent.Call
		over       string
		trusted    bool
		idempotent *bool
		tries      int
	}{
		"read-only":          {agent.Call{Op: agent.OpTool, Name: "read"}, project.OverPubSub, true, nil, 3},
		"not trusted":        {agent.Call{Op: agent.OpTool, Name: "read"}, project.OverPubSub, false, nil, 1},
		"effects":            {agent.Call{Op: agent.OpTool, Name: "write"}, project.OverPubSub, true, nil, 1},
		"file says it is":    {agent.Call{Op: agent.OpTool, Name: "write"}, project.OverPubSub, false, &yes, 3},
		"file says it isn't": {agent.Call{Op: agent.OpTool, Name: "read"}, project.OverPubSub, true, &no, 1},
		"resource":           {agent.Call{Op: agent.OpResource, Name: "x:y"}, project.OverPubSub, false, &no, 3},
		"event":              {agent.Call{Op: agent.OpEvent, Name: "read"}, project.OverPubSub, true, &yes, 1},
		"local":              {agent.Call{Op: agent.OpTool, Name: "read"}, project.OverLocal, true, &yes, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPool("a", 1)
			tries := 0
			p.Instances()[0].Up(&session{call: func(context.Context) error {
				tries++
				return agent.Errorf(agent.CodeUnavailable, "no")
			}})
			o := callee(Options{Route: p, Shown: p, Over: c.over, Trusted: c.trusted,
				Policy: project.Policy{Timeout: time.Minute, Idempotent: c.idempotent,
					Retry: project.Retry{Attempts: 3, Initial: time.Microsecond,
						Multiplier: 1, Max: time.Microsecond}}})
			_, err := o.Call(t.Context(), &c.call)
			if tries != c.tries || err == nil {
				t.Errorf("%d tries, want %d: %v", tries, c.tries, err)
			}
			if c.call.Op != agent.OpEvent && o.Stats().Retries != int64(c.tries-1) {
				t.Errorf("%d retries were counted", o.Stats().Retries)
			}
		})
	}
}

// Errors lose their secrets, of calls and about health; what is no error is not looked at.
func TestErrorsAreMasked(t *testing.T) {
	p := NewPool("a", 1)
	fails := errors.New("token=hunter2")
	p.Instances()[0].Up(&session{call: func(context.Context) error { return fails }})
	p.Instances()[0].Health = func(context.Context) error { return fails }
	c := callee(Options{Route: p, Shown: p, Over: project.OverLocal})
	c.Mask = func(err error) error { return errors.New(strings.ReplaceAll(err.Error(), "hunter2", "***")) }
	if _, err := c.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "read"}); err == nil ||
		err.Error() != "token=***" {
		t.Error(err)
	}
	if got := fmt.Sprint(c.Unhealthy(t.Context())); got != "map[a/0:token=***]" {
		t.Error(got)
	}
	fails = nil
	if res, err := c.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "read"}); err != nil || res == nil {
		t.Error(res, err)
	}
}

func TestUnhealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 4)
		all := p.Instances()
		all[1].Health = func(context.Context) error { return nil }
		all[2].Health = func(context.Context) error { return errors.New("unwell") }
		all[3].Health = func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Second); return nil }
		c := callee(Options{Shown: p})
		began := time.Now()
		if got := fmt.Sprint(c.Unhealthy(t.Context())); got != "map[a/2:unwell a/3:no answer within 1s]" ||
			time.Since(began) != time.Second {
			t.Errorf("%s after %v", got, time.Since(began))
		}
		time.Sleep(2 * time.Second)
	})
}

// Health is asked for anew each time, and those who ask at the same time share one answer.
func TestHealthIsAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool("a", 1)
		asked, unwell := 0, errors.New("unwell")
		p.Instances()[0].Health = func(context.Context) error {
			asked++
			err := unwell
			time.Sleep(time.Second / 2)
			return err
		}
		c := callee(Options{Shown: p})
		for n, want := range []string{"map[a/0:unwell]", "map[]", "map[a/0:again]"} {
			var both sync.WaitGroup
			for range 2 {
				both.Go(func() {
					if got := fmt.Sprint(c.Unhealthy(t.Context())); got != want {
						t.Errorf("%s, want %s", got, want)
					}
				})
			}
			both.Wait()
			if asked != n+1 {
				t.Errorf("asked %d times, want %d", asked, n+1)
			}
			if unwell = nil; n == 1 {
				unwell = errors.New("again")
			}
		}
	})
}

func TestDirectory(t *testing.T) {
	var d Directory
	for _, name := range []string{"b", "a"} {
		p := NewPool(name, 1)
		p.Instances()[0].Up(&session{name: name})
		c := callee(Options{Route: p, Shown: p})
		c.Name = name
		d.Add(c)
	}
	res, err := d.Call(t.Context(), &agent.Call{Agent: "b", Op: agent.OpTool, Name: "read"})
	if err != nil || res.Content[0].Text != "b" {
		t.Error(res, err)
	}
	if all := d.Agents(); len(all) != 2 || all[0].Name != "a" || all[1].Description != "b" {
		t.Errorf("%+v", all)
	}
	d.Withdraw(d.Find("b"))
	if _, ok := d.Agent("b"); ok || d.Find("b") != nil || len(d.All()) != 1 {
		t.Error("b is still there")
	}
	if _, err := d.Call(t.Context(), &agent.Call{Agent: "b"}); agent.CodeOf(err) != agent.CodeNotFound {
		t.Error(err)
	}
}
