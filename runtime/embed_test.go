package runtime_test

import (
	"context"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// The program that runs a system calls its agents while they are up, and not before or after.
func TestTheProgramAroundARuntime(t *testing.T) {
	heard := make(chan agent.Call, 1)
	ear := agent.Types{"ear": func() agent.Agent {
		return caps{Subscriptions: []agent.Subscription{agent.On("word.said",
			func(ctx context.Context, _ string) error {
				heard <- *agent.CallFrom(ctx)
				return nil
			})}, Tools: []agent.Tool{agent.NewTool("who", "", func(ctx context.Context, _ struct{}) (string, error) {
			c := agent.CallFrom(ctx)
			return c.From.String() + " " + strings.Join(c.Path, ","), nil
		})}}
	}}
	s := prepare(t, &project.Config{Agents: map[string]project.Agent{"ear": {Type: "ear"}}}, ear)
	for _, err := range []error{second(s.Call(t.Context(), "ear.who", nil)), agent.Publish(s.Context(t.Context()),
		"word.said", "x")} {
		if agent.CodeOf(err) != agent.CodeUnavailable || !strings.Contains(err.Error(), "Ready") {
			t.Errorf("before it is up: %v", err)
		}
	}
	s.run()
	<-s.Ready()
	res, err := s.Call(t.Context(), "ear.who", nil)
	if err != nil || res.Text() != "openmas openmas" {
		t.Errorf("it called as %v, %v", res, err)
	}
	ctx := agent.WithEnv(t.Context(), agent.Env{User: "ann", Directory: s.Directory()})
	if got, err := agent.Ask[string](ctx, "ear.who", nil); err != nil || got != "ann " {
		t.Errorf("for a user it called as %q, %v", got, err)
	}
	if err := agent.Publish(s.Context(t.Context()), "word.said", "x"); err != nil {
		t.Error(err)
	}
	if c := <-heard; c.From.Agent != "openmas" {
		t.Errorf("the event is %+v", c)
	}
	env, _ := agent.EnvFrom(s.Context(t.Context()))
	if _, ok := env.Directory.Agent("ear"); !ok || len(env.Directory.Agents()) != 2 {
		t.Errorf("it sees %v", env.Directory.Agents())
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Error(err)
	}
	if _, err := s.Call(t.Context(), "ear.who", nil); agent.CodeOf(err) != agent.CodeUnavailable {
		t.Errorf("after the end: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// caps is an agent of these capabilities.
type caps agent.Capabilities

func (c caps) Capabilities() agent.Capabilities { return agent.Capabilities(c) }

func TestModesThatContradict(t *testing.T) {
	for name, c := range map[string]struct {
		o      runtime.Options
		broker string
		want   string
	}{
		"a part over the memory broker": {runtime.Options{Only: []string{"probe"}}, project.BrokerMemory,
			"this process's own"},
		"nothing to observe": {runtime.Options{Mode: runtime.ModeObserve}, project.BrokerMemory, "nothing to observe"},
		"observing a part": {runtime.Options{Mode: runtime.ModeObserve, Only: []string{"probe"}}, project.BrokerNATS,
			"hosts nothing"},
		"no mode":        {runtime.Options{Mode: runtime.ModeObserve + 1}, project.BrokerMemory, "no mode 4"},
		"a passive part": {runtime.Options{Mode: runtime.ModePassive, Only: []string{"probe"}}, project.BrokerNATS, ""},
		"a part, once":   {runtime.Options{Mode: runtime.ModeOnce, Only: []string{"probe"}}, project.BrokerNATS, ""},
		"an observer":    {runtime.Options{Mode: runtime.ModeObserve}, project.BrokerNATS, ""},
	} {
		cfg := &project.Config{Dir: t.TempDir(), Project: "p",
			Agents: map[string]project.Agent{"probe": {Type: "probe"}}}
		cfg.Broker.Type = c.broker
		_, err := runtime.New(cfg, types(nil), c.o)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
