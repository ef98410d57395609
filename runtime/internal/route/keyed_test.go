package route

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime/project"
)

// keeping is a session to a generation that keeps the results of calls with keys.
type keeping struct {
	session
	keeper string
	calls  []agent.Call
	fail   []error // one after the other
	lost   func()  // called with the first failure
}

func (k *keeping) Info() agent.Info {
	info := k.session.Info()
	info.Keeper = k.keeper
	return info
}

func (k *keeping) Call(_ context.Context, c *agent.Call) (*agent.Result, error) {
	k.calls = append(k.calls, *c)
	if n := len(k.calls); n <= len(k.fail) {
		if k.lost != nil {
			k.lost()
		}
		return nil, k.fail[n-1]
	}
	return agent.TextResult(k.keeper), nil
}

// A call with a key is made again after a loss, but never by another generation, and never by a
// server that is not ours.
func TestCallsWithKeysAreMadeAgain(t *testing.T) {
	lost := agent.Errorf(agent.CodeOutcomeUnknown, "the connection was lost")
	retry := project.Policy{Timeout: time.Minute}
	retry.Retry.Attempts, retry.Retry.Initial, retry.Retry.Max = 3, time.Second, time.Minute
	for _, tt := range []struct {
		name   string
		change func(o *Options, p *Pool, s *keeping)
		key    string
		code   agent.Code
		calls  int
	}{
		{"kept", func(*Options, *Pool, *keeping) {}, "k", "", 2},
		{"no key", func(*Options, *Pool, *keeping) {}, "", agent.CodeOutcomeUnknown, 1},
		{"not trusted", func(o *Options, _ *Pool, _ *keeping) { o.Trusted = false }, "k", agent.CodeOutcomeUnknown, 1},
		{"nobody keeps it", func(_ *Options, _ *Pool, s *keeping) { s.keeper = "" }, "k", agent.CodeOutcomeUnknown, 1},
		{"retry is off", func(o *Options, _ *Pool, _ *keeping) { o.Policy.Retry.Attempts = 1 }, "k",
			agent.CodeOutcomeUnknown, 1},
		{"several processes", func(o *Options, _ *Pool, _ *keeping) { o.Alone = func() bool { return false } }, "k",
			agent.CodeOutcomeUnknown, 1},
		{"one process", func(o *Options, _ *Pool, _ *keeping) { o.Alone = func() bool { return true } }, "k", "", 2},
		{"restarted", func(_ *Options, p *Pool, s *keeping) {
			s.lost = func() { p.Instances()[0].Up(&keeping{keeper: "g2"}) }
		}, "k", agent.CodeUnavailable, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := NewPool("a", 1), &keeping{keeper: "g1", fail: []error{lost}}
				p.Instances()[0].Up(s)
				o := Options{Over: project.OverStdio, Route: p, Shown: p, Policy: retry, Trusted: true}
				tt.change(&o, p, s)
				call := &agent.Call{Op: agent.OpTool, Agent: "a", Name: "write", Key: tt.key, Attempt: 1}
				_, err := callee(o).Call(t.Context(), call)
				if agent.CodeOf(err) != tt.code || len(s.calls) != tt.calls || call.Keeper != "" {
					t.Errorf("%v after %d calls", err, len(s.calls))
				}
				if err != nil && agent.AsError(err).NotExecuted {
					t.Errorf("it may have run: %v", err)
				}
				if tied := s.calls[0].Keeper; (tied != "") != (tt.code != agent.CodeOutcomeUnknown) {
					t.Errorf("a call that ends with %q was tied to %q", tt.code, tied)
				}
			})
		})
	}
}

// Calls with one key go to one instance, while that is up, and the keys are spread.
func TestKeysChooseAnInstance(t *testing.T) {
	p := NewPool("a", 3)
	for n, i := range p.Instances() {
		i.Up(&keeping{keeper: fmt.Sprint("g", n)})
	}
	call := func(key, keeper string) (string, error) {
		res, err := p.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "write", Key: key,
			Keeper: keeper})
		if err != nil {
			return "", err
		}
		return res.Text(), nil
	}
	seen := map[string]int{}
	for k := range 30 {
		key := fmt.Sprint(k)
		first, err := call(key, "")
		if err != nil {
			t.Fatal(err)
		}
		seen[first]++
		for range 3 {
			if again, err := call(key, ""); err != nil || again != first {
				t.Errorf("the key %s goes to %s and to %s, %v", key, first, again, err)
			}
		}
		if got, err := call(key, "g2"); err != nil || got != "g2" {
			t.Errorf("a call that is tied to g2 goes to %s, %v", got, err)
		}
	}
	if len(seen) != 3 {
		t.Errorf("30 keys go to %v", seen)
	}
	if got := p.Info().Keeper; got != "" {
		t.Errorf("the agent says that %s keeps its results, one of three", got)
	}
	p.Instances()[2].Down(Failed, nil)
	if _, err := call("k", "g2"); agent.CodeOf(err) != agent.CodeUnavailable || !agent.AsError(err).NotExecuted {
		t.Errorf("a call that is tied to an instance that is down: %v", err)
	}
	shared := NewPool("a", 2)
	for _, i := range shared.Instances() {
		i.Up(&keeping{keeper: "both"})
	}
	if got := shared.Info().Keeper; got != "both" {
		t.Errorf("the agent says that %q keeps its results", got)
	}
}

// A call that an earlier process has tied to a generation stays tied: that process makes it again,
// and counts on it.
func TestAnEarlierTieHolds(t *testing.T) {
	retry := project.Policy{Timeout: time.Minute}
	retry.Retry.Attempts, retry.Retry.Initial, retry.Retry.Max = 3, time.Second, time.Minute
	for _, tt := range []struct {
		name, keeper string
		change       func(o *Options)
		code         agent.Code
		calls        int
	}{
		{"this generation", "g2", func(*Options) {}, "", 1},
		{"another", "g1", func(*Options) {}, agent.CodeUnavailable, 0},
		{"another, several processes", "g1", func(o *Options) { o.Alone = func() bool { return false } },
			agent.CodeUnavailable, 0},
		{"another, not trusted", "g1", func(o *Options) { o.Trusted = false }, agent.CodeUnavailable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := NewPool("a", 1), &keeping{keeper: "g2"}
				p.Instances()[0].Up(s)
				o := Options{Over: project.OverStdio, Route: p, Shown: p, Policy: retry, Trusted: true}
				tt.change(&o)
				_, err := callee(o).Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "write", Key: "k",
					Keeper: tt.keeper, Attempt: 2})
				if agent.CodeOf(err) != tt.code || len(s.calls) != tt.calls {
					t.Errorf("%v after %d calls", err, len(s.calls))
				}
				for _, c := range s.calls {
					if c.Keeper != tt.keeper {
						t.Errorf("the call is tied to %q", c.Keeper)
					}
				}
			})
		})
	}
}
