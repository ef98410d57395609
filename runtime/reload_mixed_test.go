package runtime_test

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// stock is a probe with one more tool, whose name is in its configuration.
type stock struct {
	probe
	Extra string `json:"extra"`
}

func (s *stock) Capabilities() agent.Capabilities {
	c := s.probe.Capabilities()
	if s.Extra != "" {
		c.Tools = append(c.Tools, agent.NewTool(s.Extra, "", func(context.Context, note) (string, error) {
			return s.Extra, nil
		}))
	}
	return c
}

// viewer is a client of a gateway that is told when the list of tools changes.
type viewer struct {
	*sdk.ClientSession
	changed chan struct{}
}

func newViewer(t *testing.T, s *system) *viewer {
	t.Helper()
	v := &viewer{changed: make(chan struct{}, 1)}
	c := sdk.NewClient(&sdk.Implementation{Name: "viewer", Version: "1"}, &sdk.ClientOptions{
		ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) {
			select {
			case v.changed <- struct{}{}:
			default: // it is about to look
			}
		}})
	var err error
	v.ClientSession, err = c.Connect(t.Context(), &sdk.StreamableClientTransport{
		Endpoint: s.Status().URL + "/mcp", HTTPClient: httpClient(t)},
		&sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

// await waits until the gateway lists a tool, or lists it no more. It looks only when it is told
// that the list has changed.
func (v *viewer) await(t *testing.T, tool string, listed bool) {
	t.Helper()
	for {
		testkit.Receive(t, v.changed)
		has := false
		for one, err := range v.Tools(t.Context(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			has = has || one.Name == tool
		}
		if has == listed {
			return
		}
	}
}

// forget takes no notice of what has changed so far.
func (v *viewer) forget() {
	select {
	case <-v.changed:
	default:
	}
}

// book makes a call that must not be executed twice.
func (v *viewer) book(ctx context.Context, tool string, in note) error {
	res, err := v.CallTool(ctx, &sdk.CallToolParams{Name: tool, Arguments: in})
	if err == nil && res.IsError {
		err = fmt.Errorf("%+v", res.Content[0])
	}
	return err
}

// Two processes of a project are reloaded 50 times with changes of every kind, while each sort of
// agent is called in all the ways that there are. No call is lost, none is executed twice, and
// clients of the gateway learn what has changed.
func TestMixedReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	const reloads = 50
	far := newElsewhere(t, httptest.NewServer)
	cfg := &project.Config{Dir: t.TempDir(), Broker: project.Broker{Type: project.BrokerNATS},
		Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
		Agents: map[string]project.Agent{
			"near": {Type: "stock", Config: map[string]any{"prefix": "near "}},
			"docs": stranger(t, "stdio", map[string]string{"GORACE": testkit.NoExitSleep}),
			"web":  {URL: far.URL},
			"far":  {Type: "probe", Config: map[string]any{"prefix": "far "}},
		}}
	extra := agent.Types{"stock": func() agent.Agent { return &stock{} }}
	a := partOf(t, *cfg, extra, "near", "docs", "web").ready()
	b := partOf(t, *cfg, extra).ready()
	testkit.Eventually(t, "a knows far", func() bool { _, ok := a.Directory().Agent("far"); return ok })
	client := newViewer(t, a)
	pace := time.NewTicker(time.Millisecond) // of all together: reloads are to get on too
	t.Cleanup(pace.Stop)
	books := map[string]*testkit.Load{"through the gateway": loadBy(a, 3, func(ctx context.Context, in note) error {
		<-pace.C
		return client.book(ctx, "near_book", in)
	})}
	for name, s := range map[string]*system{"a": a, "b": b} {
		for _, callee := range []string{"near", "docs", "web", "far"} {
			books[callee+" from "+name] = loadBy(s, 3, func(ctx context.Context, in note) error {
				<-pace.C
				_, err := agent.Ask[string](ctx, callee+".book", in)
				return err
			})
		}
	}

	change := func(name string, f func(*project.Agent)) {
		one := cfg.Agents[name]
		one.Config, one.Env = maps.Clone(one.Config), maps.Clone(one.Env)
		f(&one)
		cfg = with(cfg, name, one)
	}
	swaps := []string{"docs", "near", "web", "far"}
	rounds := []func(n int){
		func(n int) { // settings of the process, and of one agent
			next := *cfg
			next.Drain.Timeout = time.Minute + time.Duration(n)*time.Second
			cfg = &next
			change("near", func(x *project.Agent) { x.Timeout = time.Minute + time.Duration(n)*time.Second })
		},
		func(n int) { // an agent that is new
			over := overs[n/5%len(overs)]
			more := project.Agent{Type: "probe", Communicator: over}
			if over == project.OverStdio {
				more.Env = map[string]string{"GORACE": testkit.NoExitSleep}
			}
			cfg = with(cfg, "more", more)
		},
		func(n int) { // an agent that is another one
			name := swaps[n/5%len(swaps)]
			change(name, func(x *project.Agent) {
				x.Swap = []string{"", project.StopFirst}[n%2]
				switch name {
				case "docs":
					x.Env["VERSION"] = fmt.Sprint(n)
				case "web":
					x.Token = fmt.Sprint("sesame-sesame-", n)
				case "far":
					x.Communicator = overs[n%2]
					fallthrough
				default:
					x.Config["prefix"] = fmt.Sprint(n)
				}
			})
		},
		func(n int) { // other tools
			change("near", func(x *project.Agent) { x.Config["extra"] = fmt.Sprint("extra-", n) })
		},
		func(int) { // an agent that is gone
			cfg = with(cfg, "near", cfg.Agents["near"])
			delete(cfg.Agents, "more")
		},
	}
	for n := range reloads {
		rounds[n%len(rounds)](n)
		client.forget()
		for _, s := range []*system{a, b} {
			s.reload(cfg)
		}
		switch n % len(rounds) {
		case 1:
			client.await(t, "more_book", true)
			if _, err := agent.Ask[note](a.ctx, "more.say", note{}); err != nil {
				t.Errorf("reload %d: a call of the other process's new agent: %v", n, err)
			}
		case 3:
			client.await(t, fmt.Sprint("near_extra-", n), true)
		case 4:
			client.await(t, "more_book", false)
		}
	}
	for name, b := range books {
		before := b.Calls()
		testkit.Eventually(t, "calls go on: "+name, func() bool { return b.Calls() > before+2 })
	}
	for name, b := range books {
		b.Audit(name)
	}
	if st := b.agentStatus("near"); st.State != runtime.StateReady {
		t.Errorf("%+v", st)
	}
}
