package lifecycle

import (
	"context"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

type (
	envByPointer  struct{ plain }
	withoutEnv    struct{ plain }
	noError       struct{ plain }
	ordinaryClose struct{ plain }
	byPointer     struct{ plain }
	toolsOfNames  struct{ plain }
	inherits      struct{ ordinaryClose }
)

func (envByPointer) Start(context.Context, *agent.Env) error { return nil }
func (withoutEnv) Start(context.Context) error               { return nil }
func (noError) Run(context.Context)                          {}
func (*ordinaryClose) Close() error                          { return nil }
func (*byPointer) Health(context.Context) error              { return nil }

func (toolsOfNames) Start(context.Context, struct{}) (string, error) { return "", nil }
func (toolsOfNames) Run(context.Context, string) error               { return nil }
func (toolsOfNames) Health(context.Context) (string, error)          { return "", nil }

func TestAMethodThatNobodyWouldCall(t *testing.T) {
	for _, c := range []struct {
		agent agent.Agent
		want  string
	}{
		{envByPointer{}, "the method Start(context.Context, *agent.Env) error of lifecycle.envByPointer is never " +
			"called: it has to be Start(context.Context, agent.Env) error"},
		{&withoutEnv{}, "the method Start(context.Context) error of *lifecycle.withoutEnv is never called: it has to"},
		{noError{}, "the method Run(context.Context) of lifecycle.noError is never called: it has to be " +
			"Run(context.Context) error"},
		{&ordinaryClose{}, "the method Close() error of *lifecycle.ordinaryClose is never called: it has to be Close("},
		{byPointer{}, "the method Health of lifecycle.byPointer is never called: its receiver is a pointer, and the " +
			"agent is none; make the agent with &lifecycle.byPointer{…}"},
		{&byPointer{}, ""},
		{toolsOfNames{}, ""},
		{&inherits{}, ""},
		{plain{}, ""},
	} {
		_, err := New(c.agent, agent.Env{Name: "a"})
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%T: %v, want %q", c.agent, err, c.want)
		}
	}
}
