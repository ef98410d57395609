package agenttest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

// listener handles forecasts, and publishes an event for each.
type listener struct {
	steps *steps
	fail  bool
}

func (l *listener) Capabilities() agent.Capabilities {
	return agent.Capabilities{Subscriptions: []agent.Subscription{agent.On("forecast.made",
		func(ctx context.Context, c city) error {
			l.steps.add(c.Name)
			if l.fail {
				return errors.New("did not understand")
			}
			return agent.Publish(ctx, "forecast.heard", c)
		})}}
}

func TestEventsAreRecordedAndDelivered(t *testing.T) {
	heard := &steps{}
	sys := agenttest.Run(t, agenttest.Agents{"listener": &listener{steps: heard},
		"broken": &listener{steps: &steps{}, fail: true}})
	var want []string
	for i := range 50 {
		name := fmt.Sprint("city ", i)
		want = append(want, name)
		if err := agent.Publish(sys.Ctx(), "forecast.made", city{name}, agent.EventKey("one"),
			agent.EventID(name)); err != nil {
			t.Fatal(err)
		}
	}
	sys.Settle()
	if got := heard.list(); !slices.Equal(got, want) {
		t.Errorf("events of one key were handled as %v", got)
	}
	if n := len(sys.Published("forecast.heard")); n != 50 {
		t.Errorf("%d events were published in turn", n)
	}
	calls := sys.Calls("broken.forecast.made")
	if len(calls) != 3*50 || agent.CodeOf(calls[0].Err) != agent.CodeToolFailed || calls[0].ID != "city 0" ||
		calls[2].ID != "city 0" || calls[2].Attempt != 3 || calls[3].ID != "city 1" ||
		calls[0].From.Agent != agenttest.Caller {
		t.Errorf("%d deliveries, the first is %+v", len(calls), calls[0])
	}
}

// An agent is closed after what it was sent was handled, while those that it requires still run.
func TestEventsAreHandledBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &steps{}
		sys := agenttest.Run(t, agenttest.Agents{"slow": agenttest.Script{"on": agent.On("forecast.made",
			func(_ context.Context, c city) error {
				time.Sleep(time.Second)
				heard.add(c.Name)
				return nil
			})}})
		for _, name := range []string{"Bern", "Basel"} {
			if err := agent.Publish(sys.Ctx(), "forecast.made", city{name}, agent.EventKey("one")); err != nil {
				t.Fatal(err)
			}
		}
		sys.Close()
		if got := heard.list(); !slices.Equal(got, []string{"Bern", "Basel"}) {
			t.Errorf("handled %v", got)
		}
	})
}

// A subscriber that has no room refuses, and keeps nothing that it cannot handle.
func TestASlowSubscriberHasABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := agenttest.Run(t, agenttest.Agents{"slow": agenttest.Script{"on": agent.On("forecast.made",
			func(ctx context.Context, _ city) error { <-ctx.Done(); return ctx.Err() })}},
			agenttest.CallTimeout(time.Hour))
		var err error
		n := 0
		for ; err == nil && n < 5000; n++ {
			err = agent.Publish(sys.Ctx(), "forecast.made", city{})
		}
		if agent.CodeOf(err) != agent.CodeResourceExhausted || n < 1024 || n > 1100 {
			t.Errorf("publication %d gave %v", n, err)
		}
		sys.Close()
	})
}

// parting says good-bye at its end, and listens to good-byes.
type parting struct {
	agenttest.Script
	requires string
}

func (p *parting) Capabilities() agent.Capabilities {
	caps := p.Script.Capabilities()
	if p.requires != "" {
		caps.Requires = []agent.Requirement{agent.Require(p.requires)}
	}
	return caps
}

func (p *parting) Close(ctx context.Context) error {
	env, _ := agent.EnvFrom(ctx)
	return agent.Publish(ctx, "bye", city{env.Name})
}

// An agent that has stopped gets no more events, and those that still run get what it says then.
func TestAnAgentThatHasStoppedGetsNoEvents(t *testing.T) {
	var heard steps
	listens := func(who string) agenttest.Script {
		return agenttest.Script{"on": agent.On("bye", func(_ context.Context, c city) error {
			heard.add(who + " hears " + c.Name)
			return nil
		})}
	}
	sys := agenttest.Run(t, agenttest.Agents{"first": &parting{Script: listens("first")},
		"second": &parting{listens("second"), "first"}, "third": &parting{listens("third"), "second"}})
	sys.Close()
	got := heard.list()
	slices.Sort(got)
	if want := []string{"first hears second", "first hears third", "second hears third"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// An event that nobody listens to is published, and there is nothing to wait for.
func TestAnEventThatNobodyListensTo(t *testing.T) {
	sys := agenttest.Run(t, agenttest.Agents{"listener": &listener{steps: &steps{}}})
	for range 2 {
		if err := agent.Publish(sys.Ctx(), "nobody.hears", city{"Bern"}); err != nil {
			t.Error(err)
		}
		sys.Settle()
		if err := agent.Publish(sys.Ctx(), "forecast.made", city{"Bern"}); err != nil {
			t.Error(err)
		}
		sys.Settle()
	}
	if n := len(sys.Published("nobody.hears")); n != 2 {
		t.Errorf("%d events were published", n)
	}
}
