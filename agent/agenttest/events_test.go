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
