package wire_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/agent/agenttest/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type guest struct {
	Name string `json:"name"`
}

// Host asks the user, another agent and the model, and publishes.
type Host struct{}

func (Host) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Requires: []agent.Requirement{agent.Require("greeter.greet")},
		Tools: []agent.Tool{agent.NewTool("welcome", "Welcome.", func(ctx context.Context, _ struct{}) (string, error) {
			who, err := agent.Elicit[guest](ctx, "Who are you?")
			if err != nil {
				return "", err
			}
			if err := agent.Publish(ctx, "guest.came", who); err != nil {
				return "", err
			}
			return agent.Ask[string](ctx, "greeter.greet", who)
		})},
		Subscriptions: []agent.Subscription{agent.On("guest.came", func(context.Context, guest) error { return nil })},
	}
}

// The transcript is the same over every communicator.
func TestEach(t *testing.T) {
	wire.Each(t, func(t *testing.T, over agenttest.Option) {
		sys := agenttest.Run(t, agenttest.Agents{
			"host": Host{},
			"greeter": agenttest.Script{"greet": agenttest.
				Expect(guest{"Ada"}, "Hello, Ada!").
				And(guest{"Bob"}, agenttest.Crash()).
				And(guest{"Eve"}, agent.Errorf(agent.CodePermissionDenied, "not Eve"))},
		}, agenttest.OnElicit(agenttest.Each(guest{"Ada"}, guest{"Bob"}, guest{"Eve"})), over)
		for _, want := range []agent.Code{"", agent.CodeOutcomeUnknown, agent.CodePermissionDenied} {
			_, err := agent.Ask[string](sys.Ctx(), "host.welcome", nil)
			if want == "" && err != nil || want != "" && !errors.Is(err, want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
		sys.Golden("testdata/welcome.golden")
	})
}
