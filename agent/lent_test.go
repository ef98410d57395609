package agent_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/openmas/openmas/agent"
)

// callLog is a directory and a publisher that keep what reaches them.
type callLog struct {
	hosts
	publisher
	calls []agent.Call
}

func (l *callLog) Call(_ context.Context, c *agent.Call) (*agent.Result, error) {
	l.calls = append(l.calls, *c)
	return &agent.Result{}, nil
}

// An agent that makes a call by hand, or changes its Env, still calls as itself, at its place in
// the tree of calls.
func TestAnAgentCallsAsItself(t *testing.T) {
	log := &callLog{}
	lie := func(ctx context.Context, env agent.Env) {
		c := &agent.Call{ID: "1", Op: agent.OpTool, Agent: "end", Name: "x", Root: "r", Path: []string{"z"}, Depth: -5,
			From: agent.Identity{Agent: "admin", User: "root"}, Key: "k", Attempt: 2}
		if _, err := env.Directory.Call(ctx, c); err != nil || c.From.Agent != "admin" {
			t.Errorf("%+v, %v: a call is not to be changed", c, err)
		}
		if err := env.Publisher.Publish(ctx, agent.Event{Topic: "t", Source: "admin"}); err != nil {
			t.Error(err)
		}
		if log.got.Source != "a" || log.got.ID == "" {
			t.Errorf("published %+v", log.got)
		}
	}
	h, err := agent.NewHost(agent.Env{Name: "a", Instance: "a/1", Directory: log, Publisher: log},
		agent.Capabilities{Tools: []agent.Tool{agent.RawTool("ask", "", nil,
			agent.CallerFunc(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
				env, _ := agent.EnvFrom(ctx)
				env.Name, env.Instance, env.User = "admin", "admin/0", "root"
				lie(ctx, env)
				lie(agent.WithEnv(ctx, env), env)
				return agent.CallTool(ctx, "end.x", nil)
			}))}})
	if err != nil {
		t.Fatal(err)
	}
	served := &agent.Call{ID: "7", Op: agent.OpTool, Agent: "a", Name: "ask", Root: "5", Path: []string{"x", "y"},
		Depth: 2, From: agent.Identity{Agent: "y", Instance: "y/0", User: "ann"}}
	if _, err := h.Call(t.Context(), served); err != nil {
		t.Fatal(err)
	}
	lie(t.Context(), h.Env()) // as a Runner does
	self := agent.Identity{Agent: "a", Instance: "a/1", Trusted: true}
	forAnn := self
	forAnn.User = "ann"
	want := []agent.Call{
		{From: forAnn, Root: "5", Path: []string{"x", "y", "a"}, Depth: 3, Key: "k", Attempt: 2},
		{From: self, Path: []string{"a"}, Key: "k", Attempt: 2},
		{From: forAnn, Root: "5", Path: []string{"x", "y", "a"}, Depth: 3, Attempt: 1},
		{From: self, Path: []string{"a"}, Key: "k", Attempt: 2},
	}
	if len(log.calls) != len(want) {
		t.Fatalf("%d calls, want %d", len(log.calls), len(want))
	}
	for i, w := range want {
		got := log.calls[i]
		w.ID, w.Op, w.Agent, w.Name = got.ID, agent.OpTool, "end", "x"
		if w.Root == "" {
			w.Root = got.ID
		}
		if !reflect.DeepEqual(got, w) || got.ID == "" || got.ID == "1" {
			t.Errorf("call %d is\n%+v, want\n%+v", i, got, w)
		}
	}
	if !reflect.DeepEqual(served.Path, []string{"x", "y"}) {
		t.Errorf("the path of the call that is served became %v", served.Path)
	}
}

// A call of a client that knows nothing of roots is the root of those that it leads to.
func TestACallWithoutARootIsOne(t *testing.T) {
	log := &callLog{}
	h, err := agent.NewHost(agent.Env{Name: "a", Directory: log}, agent.Capabilities{Tools: []agent.Tool{
		agent.RawTool("ask", "", nil, agent.CallerFunc(func(ctx context.Context, _ *agent.Call) (*agent.Result, error) {
			return agent.CallTool(ctx, "end.x", nil)
		}))}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Call(t.Context(), &agent.Call{ID: "7", Op: agent.OpTool, Name: "ask"}); err != nil {
		t.Fatal(err)
	}
	if len(log.calls) != 1 || log.calls[0].Root != "7" {
		t.Errorf("the calls below 7 are %+v", log.calls)
	}
}

// Without a broker an event cannot be published, and the error says so.
func TestAnAgentWithoutAPublisher(t *testing.T) {
	ctx := agent.WithEnv(t.Context(), agent.Env{Name: "a"})
	env, _ := agent.EnvFrom(ctx)
	for _, err := range []error{agent.Publish(ctx, "t", nil), env.Publish(agent.WithEnv(ctx, env), "t", nil)} {
		wantCode(t, err, agent.CodeUnavailable, false)
	}
}

// A program that is no agent calls as the user that it names, or as itself.
func TestProgramsCall(t *testing.T) {
	log := &callLog{}
	for _, user := range []string{"ann", ""} {
		log.calls = nil
		if _, err := agent.CallTool(agent.WithEnv(t.Context(), agent.Env{User: user, Directory: log}), "a.x",
			nil); err != nil {
			t.Fatal(err)
		}
		c := log.calls[0]
		if c.From != (agent.Identity{User: user, Trusted: true}) || c.Root != c.ID || c.Path != nil || c.Depth != 0 {
			t.Errorf("%q calls with %+v", user, c)
		}
	}
}

func TestIdentitiesAreReadable(t *testing.T) {
	for want, i := range map[string]agent.Identity{"": {}, "ann": {User: "ann"}, "editor": {Agent: "editor"},
		"editor for ann": {Agent: "editor", User: "ann"}} {
		if i.String() != want {
			t.Errorf("%+v is %q", i, i)
		}
	}
}
