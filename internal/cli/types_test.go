package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/openmas/openmas/agent"
)

// types are the agents of the tests' program.
func types() agent.Types {
	return agent.Types{
		"greeter": func() agent.Agent { return &greeter{Greeting: "Hello"} },
		"host":    func() agent.Agent { return host{} },
		"worker":  func() agent.Agent { return &worker{} },
		"once":    func() agent.Agent { return &once{} },
		"broken":  func() agent.Agent { return broken{} },
		"post":    func() agent.Agent { return post{} },
		"clerk":   func() agent.Agent { return &clerk{} },
		"inbox":   func() agent.Agent { return &inbox{} },
		"cashier": func() agent.Agent { return cashier{} },
	}
}

type who struct {
	Name string `json:"name" jsonschema:"whom to greet"`
	Loud bool   `json:"loud,omitempty"`
}

// greeter logs its token, as an agent should not.
type greeter struct {
	Greeting string `json:"greeting"`
	Token    string `json:"token"`
}

func (g *greeter) Start(_ context.Context, env agent.Env) error {
	env.Logger.Info("started", "token", g.Token)
	return nil
}

func (g *greeter) Capabilities() agent.Capabilities {
	type about struct {
		Topic string `json:"topic"`
		Tone  string `json:"tone,omitempty"`
	}
	return agent.Capabilities{
		Description: "Greets people.\nIn several languages.",
		Tools: []agent.Tool{
			agent.NewTool("greet", "Greet somebody.", func(ctx context.Context, in who) (string, error) {
				agent.Progress(ctx, 1, 2, "thinking")
				return g.Greeting + ", " + in.Name + "!", nil
			}, agent.ReadOnly()),
			agent.NewTool("measure", "Measure a name.", func(_ context.Context, in who) (map[string]int, error) {
				return map[string]int{"letters": len(in.Name)}, nil
			}),
		},
		Prompts: []agent.Prompt{agent.NewPrompt("toast", "Propose a toast.",
			func(context.Context, about) (*agent.PromptResult, error) {
				return &agent.PromptResult{Messages: []agent.Message{agent.UserText("Cheers.")}}, nil
			})},
		Resources: []agent.Resource{agent.NewResource("greet://book", "book", "The guest book.", "text/plain",
			func(context.Context) (string, error) {
				return "", nil
			})},
		Subscriptions: []agent.Subscription{agent.On("guest.came", func(context.Context, who) error { return nil })},
	}
}

// host asks the greeter.
type host struct{}

func (host) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Tools: []agent.Tool{agent.NewTool("welcome", "Welcome a visitor.",
			func(ctx context.Context, in who) (string, error) {
				return agent.Ask[string](ctx, "greeter.greet", in)
			})},
		Requires: []agent.Requirement{agent.Require("greeter.greet")},
	}
}

// worker has tools that take their time, and one that prints where it must not.
type worker struct{ env agent.Env }

func (w *worker) Start(_ context.Context, env agent.Env) error { w.env = env; return nil }

func (w *worker) Capabilities() agent.Capabilities {
	type none struct{}
	return agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("wait", "Work until the file `release` is in the state folder.",
			func(ctx context.Context, _ none) (string, error) {
				w.env.Logger.Info("waiting")
				for tick := time.NewTicker(5 * time.Millisecond); ; {
					select {
					case <-ctx.Done():
						return "", ctx.Err()
					case <-tick.C:
						if _, err := os.Stat(filepath.Join(w.env.StateDir, "release")); err == nil {
							return "released", nil
						}
					}
				}
			}),
		agent.NewTool("hang", "Never return, whatever happens.", func(context.Context, none) (string, error) {
			w.env.Logger.Info("hanging")
			select {}
		}),
		agent.NewTool("panic", "", func(context.Context, struct{}) (string, error) { panic("no") }),
		agent.NewTool("print", "Print to the process's standard output.", func(context.Context, none) (string, error) {
			_, err := fmt.Fprintln(os.Stdout, "a stray print")
			return "printed", err
		}),
	}}
}

// once is a Runner that prints a result and is done.
type once struct{ env agent.Env }

func (o *once) Capabilities() agent.Capabilities             { return agent.Capabilities{} }
func (o *once) Start(_ context.Context, env agent.Env) error { o.env = env; return nil }
func (o *once) Run(context.Context) error                    { return o.say() }
func (o *once) say() error {
	_, err := fmt.Fprintln(o.env.Output, "the result")
	return err
}

// broken is a Runner that fails each time.
type broken struct{}

func (broken) Capabilities() agent.Capabilities { return agent.Capabilities{} }
func (broken) Run(context.Context) error        { return errors.New("out of paper") }
