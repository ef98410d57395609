package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// Greeter is an agent with one tool.
type Greeter struct {
	Word string `json:"word"`
}

func (g *Greeter) Capabilities() agent.Capabilities {
	type guest struct {
		Name string `json:"name"`
	}
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("greet", "Greet somebody.",
		func(_ context.Context, in guest) (string, error) { return g.Word + ", " + in.Name + "!", nil })}}
}

// A program runs a system and calls its agents.
func Example() {
	dir, err := os.MkdirTemp("", "openmas")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	cfg := &project.Config{Dir: dir, Agents: map[string]project.Agent{
		"greeter": {Type: "greeter", Config: map[string]any{"word": "Hello"}}}}
	r, err := runtime.New(cfg, agent.Types{"greeter": func() agent.Agent { return &Greeter{} }},
		runtime.Options{Mode: runtime.ModePassive})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case err := <-ended:
		fmt.Println(err)
		return
	}
	res, err := r.Call(ctx, "greeter.greet", map[string]string{"name": "Ada"})
	fmt.Println(res.Text(), err)
	_, err = agent.Ask[string](r.Context(ctx), "greeter.greet", nil)
	fmt.Println(errors.Is(err, agent.CodeInvalidArgument))
	stop()
	fmt.Println(<-ended)
	// Output:
	// Hello, Ada! <nil>
	// true
	// <nil>
}
