package runtime_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
)

// note is what the tests' agents pass around.
type note struct {
	Text string `json:"text,omitempty"`
	N    int    `json:"n,omitempty"`
}

// probe is an agent with a bit of everything. It lives in any process: what it saw is asked for by
// tools.
type probe struct {
	Peer   string `json:"peer"`   // whom relay and publish involve
	Prefix string `json:"prefix"` // of its answers
	Sick   string `json:"sick"`   // what its health reports

	env    agent.Env
	mu     sync.Mutex
	events []string
	closed *atomic.Int64
}

func (p *probe) Start(_ context.Context, env agent.Env) error { p.env = env; return nil }

func (p *probe) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "A probe.",
		Tools: []agent.Tool{
			agent.NewTool("say", "", func(_ context.Context, in note) (note, error) {
				return note{Text: p.Prefix + in.Text, N: in.N}, nil
			}, agent.ReadOnly()),
			agent.NewTool("who", "", func(ctx context.Context, _ note) (string, error) {
				c := agent.CallFrom(ctx)
				return fmt.Sprintf("%s at depth %d", c.From, c.Depth), nil
			}),
			agent.NewTool("roll", "", func(context.Context, note) (string, error) { return rand.Text(), nil }),
			agent.NewTool("relay", "", func(ctx context.Context, in note) (string, error) {
				return agent.Ask[string](ctx, p.Peer+".who", in)
			}),
			agent.NewTool("circle", "", func(ctx context.Context, in note) (string, error) {
				return agent.Ask[string](ctx, p.Peer+".circle", in)
			}),
			agent.NewTool("slow", "", p.slow),
			agent.NewTool("relay-slow", "", func(ctx context.Context, in note) (note, error) {
				return agent.Ask[note](ctx, p.Peer+".slow", in)
			}),
			agent.NewTool("wait", "", func(ctx context.Context, in note) (note, error) {
				return in, appears(ctx, in.Text)
			}),
			agent.NewTool("wait-nested", "", func(ctx context.Context, in note) (note, error) {
				if err := appears(ctx, in.Text); err != nil {
					return in, err
				}
				return agent.Ask[note](ctx, p.Peer+".say", in)
			}),
			agent.NewTool("wait-around", "", func(ctx context.Context, in note) (note, error) {
				if err := appears(ctx, in.Text); err != nil {
					return in, err
				}
				return agent.Ask[note](ctx, p.Peer+".around", in)
			}),
			agent.NewTool("around", "", func(ctx context.Context, in note) (note, error) {
				return agent.Ask[note](ctx, p.Peer+".say", in)
			}),
			agent.NewTool("book", "", func(_ context.Context, in note) (string, error) { return "booked", enter(in) }),
			agent.NewTool("panic", "", func(context.Context, note) (string, error) { panic("as told") }),
			agent.NewTool("note", "", func(ctx context.Context, in note) (string, error) {
				p.env.Logger.InfoContext(ctx, in.Text)
				return "noted", nil
			}),
			agent.NewTool("relay-fail", "", func(ctx context.Context, in note) (string, error) {
				s, err := agent.Ask[string](ctx, p.Peer+".fail", in)
				if err != nil {
					err = fmt.Errorf("relay: %w", err)
				}
				return s, err
			}),
			agent.NewTool("fail", "", func(context.Context, note) (string, error) { return "", errors.New("as told") }),
			agent.NewTool("exit", "", func(context.Context, note) (string, error) { os.Exit(7); return "", nil }),
			agent.NewTool("exit-once", "", func(_ context.Context, in note) (string, error) {
				return "survived", exitOnce(in.Text)
			}, agent.Idempotent()),
			agent.NewTool("choose", "", func(ctx context.Context, _ note) (string, error) {
				out, err := agent.Elicit[struct {
					Color string `json:"color"`
				}](ctx, "Which color?")
				return out.Color, err
			}),
			agent.NewTool("count", "", func(ctx context.Context, in note) (string, error) {
				for i := range in.N {
					agent.Progress(ctx, float64(i+1), float64(in.N), "counting")
				}
				return "counted", nil
			}),
			agent.NewTool("publish", "", func(ctx context.Context, in note) (string, error) {
				return "sent", agent.Publish(ctx, "probe.said", in)
			}),
			agent.NewTool("heard", "", func(context.Context, note) ([]string, error) {
				p.mu.Lock()
				defer p.mu.Unlock()
				return append([]string{}, p.events...), nil
			}),
			agent.NewTool("env", "", func(context.Context, note) (map[string]string, error) {
				return map[string]string{"name": p.env.Name, "instance": p.env.Instance, "state": p.env.StateDir,
					"dir": p.env.Dir, "var": os.Getenv("PROBE_VAR"), "pid": fmt.Sprint(os.Getpid())}, nil
			}),
			agent.NewTool("otel", "", func(context.Context, note) (map[string]string, error) {
				return otelVars(), nil
			}),
			agent.NewTool("agents", "", func(ctx context.Context, _ note) ([]string, error) {
				env, _ := agent.EnvFrom(ctx)
				var names []string
				for _, info := range env.Directory.Agents() {
					names = append(names, info.Name)
				}
				return names, nil
			}),
		},
		Prompts: []agent.Prompt{agent.NewPrompt("greet", "", func(_ context.Context, in struct {
			Name string `json:"name"`
		}) (*agent.PromptResult, error) {
			return &agent.PromptResult{Messages: []agent.Message{agent.UserText("Greet " + in.Name)}}, nil
		}, agent.Completes("name", func(_ context.Context, prefix string, _ map[string]string) ([]string, error) {
			return []string{prefix + "da"}, nil
		}))},
		Resources: []agent.Resource{agent.NewResource("probe://state", "state", "", "text/plain",
			func(context.Context) (string, error) {
				return p.Prefix, nil
			})},
		Subscriptions: []agent.Subscription{agent.On("probe.said", func(_ context.Context, in note) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, in.Text)
			return nil
		})},
	}
}

// enter notes the number of a call in a file, as every process of a test can.
func enter(in note) error {
	f, err := os.OpenFile(in.Text, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, in.N)
	return errors.Join(err, f.Close())
}

func (p *probe) slow(ctx context.Context, in note) (note, error) {
	t := time.NewTimer(time.Duration(in.N) * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return in, nil
	case <-ctx.Done():
		return in, ctx.Err()
	}
}

// appears waits for a file: the signal of a test to its agents, in whatever process they are.
func appears(ctx context.Context, file string) error {
	return appearsWhen(ctx, func() bool { _, err := os.Stat(file); return err == nil })
}

// appearsWhen waits for a condition until ctx ends.
func appearsWhen(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *probe) Health(context.Context) error {
	switch p.Sick {
	case "":
		return nil
	case "panic":
		panic("as told")
	}
	return errors.New(p.Sick)
}

func (p *probe) Close(context.Context) error {
	if p.closed != nil {
		p.closed.Add(1)
	}
	return nil
}

// exitOnce ends the process on its first call, and no more once the file is there.
func exitOnce(file string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	os.Exit(7)
	return nil
}

// runs is an agent whose Run is a function of the test; in a child, one that writes a file.
type runs struct {
	File string `json:"file"`
	run  func(ctx context.Context) error
}

func (r *runs) Capabilities() agent.Capabilities { return agent.Capabilities{} }

func (r *runs) Run(ctx context.Context) error {
	if r.run != nil {
		return r.run(ctx)
	}
	return os.WriteFile(r.File, []byte("ran"), 0o600)
}

// types are the agents of this test binary, in this process and in its children; more are added or
// replaced by extra.
func types(extra agent.Types) agent.Types {
	t := agent.Types{
		"probe":    func() agent.Agent { return &probe{} },
		"runs":     func() agent.Agent { return &runs{} },
		"worker":   func() agent.Agent { return &worker{} },
		"board":    func() agent.Agent { return &board{} },
		"form":     func() agent.Agent { return &form{} },
		"choosy":   func() agent.Agent { return &choosy{} },
		"hopeless": func() agent.Agent { return hopeless{} },
	}
	for name, f := range extra {
		t[name] = f
	}
	return t
}
