package agent_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hosts is a directory over hosts.
type hosts map[string]*agent.Host

func (d hosts) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	if h := d[c.Agent]; h != nil {
		return h.Call(ctx, c)
	}
	return nil, agent.Refusedf(agent.CodeNotFound, "no agent %q", c.Agent)
}

func (d hosts) Agents() []agent.Info { return nil }

func (d hosts) Agent(name string) (agent.Info, bool) {
	h, ok := d[name]
	if !ok {
		return agent.Info{}, false
	}
	return h.Info(), true
}

// system hosts the agents and returns a context in which "me" calls them.
func system(t testing.TB, agents map[string]agent.Capabilities) context.Context {
	t.Helper()
	d := hosts{}
	for name, caps := range agents {
		h, err := agent.NewHost(agent.Env{Name: name, Directory: d}, caps)
		if err != nil {
			t.Fatal(err)
		}
		d[name] = h
	}
	return agent.WithEnv(t.Context(), agent.Env{Name: "me", Directory: d})
}

// one is a system of one agent, "callee".
func one(t testing.TB, caps agent.Capabilities) context.Context {
	t.Helper()
	return system(t, map[string]agent.Capabilities{"callee": caps})
}

// tools is a system of one agent, "callee", with these tools.
func tools(t testing.TB, tools ...agent.Tool) context.Context {
	t.Helper()
	return one(t, agent.Capabilities{Tools: tools})
}

func wantCode(t testing.TB, err error, code agent.Code, notExecuted bool) {
	t.Helper()
	if agent.CodeOf(err) != code || err != nil && agent.AsError(err).NotExecuted != notExecuted {
		t.Errorf("the error is %v, want %q with NotExecuted %v", err, code, notExecuted)
	}
}
