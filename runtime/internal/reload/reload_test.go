package reload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
	"github.com/openmas/openmas/runtime/project"
)

// What changes, for whom, and what cannot.
func TestCompare(t *testing.T) {
	base := func() *project.Config {
		return &project.Config{Agents: map[string]project.Agent{
			"local": {Type: "x"},
			"bus":   {Type: "x", Communicator: project.OverPubSub},
			"child": {Type: "x", Communicator: project.OverStdio, Policy: project.Policy{Timeout: time.Minute}},
			"cmd":   {Command: []string{"cmd"}},
			"url":   {URL: "http://localhost/mcp", Token: "first-secret", Start: project.AgentStart{}},
		}}
	}
	for name, c := range map[string]struct {
		change func(*project.Config)
		want   string
	}{
		"nothing": {func(*project.Config) {}, ""},
		"an agent's own": {func(c *project.Config) {
			a := c.Agents["local"]
			a.Config = map[string]any{"n": 1}
			a.Replicas = 2
			c.Agents["local"] = a
		}, "local changed: config.n (new) 1, replicas 1>2"},
		"a secret": {func(c *project.Config) {
			a := c.Agents["url"]
			a.Token = "other-secret"
			c.Agents["url"] = a
		}, "url changed: token same"},
		"come and gone": {func(c *project.Config) {
			delete(c.Agents, "cmd")
			c.Agents["new"] = project.Agent{Type: "x"}
		}, "cmd removed; new added"},
		"a default that an agent has too": {func(c *project.Config) { c.Defaults.Timeout = 31 * time.Second },
			"bus changed: defaults.timeout 30s>31s; cmd changed: defaults.timeout 30s>31s; " +
				"local changed: defaults.timeout 30s>31s; url changed: defaults.timeout 30s>31s"},
		"the longest timeout": {func(c *project.Config) {
			c.Agents["cmd"] = project.Agent{Command: []string{"cmd"}, Policy: project.Policy{Timeout: 2 * time.Minute}}
		}, "child changed: the longest timeout of all 1m0s>2m0s; cmd changed: timeout (new) 2m"},
		"restart": {func(c *project.Config) { c.Restart.Limit = 9 },
			each("restart.limit 5>9", "bus", "child", "cmd", "local")},
		"child": {func(c *project.Config) { c.Child.TermWait = time.Second },
			each("child.term_wait 3s>1s", "child", "cmd")},
		"connect": {func(c *project.Config) { c.Connect.Timeout = time.Second }, each("connect.timeout 10s>1s", "url")},
		"reconnect": {func(c *project.Config) { c.Reconnect.Max = time.Minute },
			each("reconnect.max 30s>1m", "bus", "cmd", "url")},
		"start.timeout": {func(c *project.Config) { c.Start.Timeout = time.Second },
			each("start.timeout 1m>1s", "bus", "child", "cmd", "local")},
		"drain": {func(c *project.Config) { c.Drain.Timeout, c.Start.Wait = time.Second, time.Second },
			" setting: start.wait 30s>1s, drain.timeout 25s>1s"},
		"what cannot": {func(c *project.Config) { c.Project, c.Start.Parallel = "q", 7 },
			"refused project, start.parallel"},
		"the gateway": {func(c *project.Config) { c.Gateway = &project.Gateway{} }, "refused gateway"},
		"broker and state": {func(c *project.Config) { c.Broker.Type, c.State = project.BrokerNATS, "s" },
			"refused state, broker.type"},
	} {
		t.Run(name, func(t *testing.T) {
			old, next := complete(t, base()), base()
			c.change(next)
			next = complete(t, next)
			agents := map[string]*project.Config{}
			for name := range old.Agents {
				agents[name] = old
			}
			changes, refused := Compare(old, agents, next)
			var got []string
			for _, c := range changes {
				text := c.Agent + " " + string(c.Kind)
				for i, k := range c.Keys {
					text += map[bool]string{true: ": ", false: ", "}[i == 0] + show(k)
				}
				got = append(got, text)
			}
			var keys []string
			for _, k := range refused {
				keys = append(keys, k.Key)
			}
			if len(keys) > 0 {
				got = append(got, "refused "+strings.Join(keys, ", "))
			}
			if text := strings.Join(got, "; "); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func show(k Key) string {
	switch {
	case k.Old == k.New:
		return k.Key + " same"
	case k.Old == "":
		return k.Key + " (new) " + k.New
	}
	return fmt.Sprintf("%s %s>%s", k.Key, k.Old, k.New)
}

func each(what string, names ...string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = name + " changed: " + what
	}
	return strings.Join(all, "; ")
}

func complete(t *testing.T, c *project.Config) *project.Config {
	t.Helper()
	c, err := c.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// An agent that kept its old settings is compared with those, and not with what the others have.
func TestCompareEachWithItsOwn(t *testing.T) {
	one := complete(t, &project.Config{Agents: map[string]project.Agent{"a": {Type: "x"}, "b": {Type: "x"}}})
	two := *one
	two.Agents = maps.Clone(one.Agents)
	b := two.Agents["b"]
	b.Type = "y"
	two.Agents["b"] = b
	changes, _ := Compare(one, map[string]*project.Config{"a": &two, "b": one}, &two)
	if len(changes) != 1 || changes[0].Agent != "b" {
		t.Errorf("%+v", changes)
	}
	if changes, _ = Compare(one, map[string]*project.Config{"a": &two, "b": &two}, &two); len(changes) != 0 {
		t.Errorf("%+v", changes)
	}
}

// One reload goes on at a time; the end of the system ends the one that does, and waits for it.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		first, end, err := turns.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := turns.Begin(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		second := make(chan error, 1)
		go func() {
			_, endSecond, err := turns.Begin(t.Context())
			if err == nil {
				endSecond()
			}
			second <- err
		}()
		synctest.Wait()
		end()
		if err := <-second; err != nil {
			t.Error(err)
		}
		if first.Err() == nil {
			t.Error("its context goes on")
		}
		last, end, err := turns.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- turns.Close(t.Context()) }()
		<-last.Done()
		if !errors.Is(context.Cause(last), ErrStopping) {
			t.Error(context.Cause(last))
		}
		synctest.Wait()
		select {
		case <-closed:
			t.Error("it does not wait")
		default:
		}
		end()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if _, _, err := turns.Begin(t.Context()); !errors.Is(err, ErrStopping) {
			t.Error(err)
		}
	})
}

// What a reload has left to do keeps no other one waiting, and the end of the system waits for it.
func TestWhatIsLeftToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		goOn := make(chan struct{})
		for range 2 {
			_, end, err := turns.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			turns.After(func() { <-goOn })
			end()
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := turns.Close(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		close(goOn)
		if err := turns.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// service answers with its name.
type service string

func (s service) Info() agent.Info { return agent.Info{Name: "a", Description: string(s)} }

func (s service) Call(context.Context, *agent.Call) (*agent.Result, error) {
	return agent.TextResult(string(s)), nil
}

// A name stays served while what serves it is replaced, and until the last of those is closed.
func TestLasting(t *testing.T) {
	l := NewLasting(communicator.NewLocal())
	serve := func(s service) communicator.Binding {
		b, err := l.Serve(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one := serve("one")
	peer, err := l.Dial(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		res, err := peer.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
		if err != nil || res.Content[0].Text != want || peer.Info().Description != want {
			t.Errorf("%+v, %v, want %s", res, err, want)
		}
	}
	check("one")
	failed := serve("failed")
	check("failed")
	if err := failed.Close(t.Context()); err != nil {
		t.Error(err)
	}
	check("one")
	two := serve("two")
	if err := one.Close(t.Context()); err != nil {
		t.Error(err)
	}
	check("two")
	if err := errors.Join(two.Close(t.Context()), two.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if _, err := l.Dial(t.Context(), "a"); agent.CodeOf(err) != agent.CodeNotFound {
		t.Error(err)
	}
	serve("again")
	if peer, err = l.Dial(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	check("again")
}
