package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

func TestOn(t *testing.T) {
	var got city
	ctx := one(t, agent.Capabilities{Subscriptions: []agent.Subscription{
		agent.On("city.found", func(_ context.Context, c city) error { got = c; return nil }),
		agent.On("city.lost", func(context.Context, *city) error { return errors.New("again, please") }),
	}})
	deliver := func(topic, payload string) error {
		_, err := agent.Do(ctx, agent.Call{Op: agent.OpEvent, Agent: "callee", Name: topic}, json.RawMessage(payload))
		return err
	}
	if err := deliver("city.found", `{"name":"Bern"}`); err != nil || got.Name != "Bern" {
		t.Errorf("%+v, %v", got, err)
	}
	wantCode(t, deliver("city.found", `{"name":7}`), agent.CodeInvalidArgument, true)
	wantCode(t, deliver("city.found", ``), agent.CodeInvalidArgument, true)
	wantCode(t, deliver("city.lost", `null`), agent.CodeToolFailed, false)
	wantCode(t, deliver("city.other", `null`), agent.CodeNotFound, true)
	for want, e := range map[string]agent.Subscription{
		"is no topic": agent.On("City", func(context.Context, city) error {
			return nil
		}), "function is nil": agent.On[city]("c", nil), "agent.On": {},
	} {
		if err := e.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want one that says %s", err, want)
		}
	}
}

type publisher struct {
	got agent.Event
	err error
}

func (p *publisher) Publish(_ context.Context, got agent.Event) error {
	p.got = got
	return p.err
}

func TestPublish(t *testing.T) {
	p := &publisher{}
	env := agent.Env{Name: "me", Publisher: p}
	ctx := agent.WithEnv(t.Context(), env)
	if err := agent.Publish(ctx, "city.found", city{Name: "Bern"}, agent.EventKey("k"),
		agent.EventID("id")); err != nil {
		t.Fatal(err)
	}
	if want := (agent.Event{ID: "id", Topic: "city.found", Source: "me", Key: "k",
		Payload: json.RawMessage(`{"name":"Bern"}`)}); !reflect.DeepEqual(p.got, want) {
		t.Errorf("published %+v", p.got)
	}
	if err := env.Publish(ctx, "city.found", nil); err != nil || p.got.ID == "" || string(p.got.Payload) != "null" {
		t.Errorf("published %+v, %v", p.got, err)
	}
	p.got, p.err = agent.Event{}, agent.Errorf(agent.CodeResourceExhausted, "full")
	wantCode(t, env.Publish(ctx, "city.found", nil), agent.CodeResourceExhausted, false)
	p.got = agent.Event{}
	wantCode(t, env.Publish(ctx, "City", nil), agent.CodeInvalidArgument, false)
	wantCode(t, env.Publish(ctx, "city", make(chan int)), agent.CodeInvalidArgument, false)
	wantCode(t, agent.Env{}.Publish(ctx, "city", nil), agent.CodeUnavailable, false)
	wantCode(t, agent.Publish(t.Context(), "city", nil), agent.CodeUnavailable, false)
	if p.got.Topic != "" {
		t.Errorf("published %+v", p.got)
	}
}
