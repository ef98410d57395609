package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator/pubsub"
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

// greeters is a project with one agent, and a folder that is removed by the function returned.
func greeters() (cfg *project.Config, types agent.Types, remove func()) {
	dir, err := os.MkdirTemp("", "openmas")
	if err != nil {
		log.Fatal(err)
	}
	cfg = &project.Config{Dir: dir, Agents: map[string]project.Agent{
		"greeter": {Type: "greeter", Config: map[string]any{"word": "Hello"}}}}
	types = agent.Types{"greeter": func() agent.Agent { return &Greeter{} }}
	return cfg, types, func() { _ = os.RemoveAll(dir) }
}

// run runs a system until stop, which returns what Run did.
func run(r *runtime.Runtime) (ctx context.Context, stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case err := <-ended:
		log.Fatal(err)
	}
	return ctx, func() error { cancel(); return <-ended }
}

// A program runs a system and calls its agents.
func Example() {
	cfg, types, remove := greeters()
	defer remove()
	r, err := runtime.New(cfg, types, runtime.Options{Mode: runtime.ModePassive})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := run(r)
	res, err := r.Call(ctx, "greeter.greet", map[string]string{"name": "Ada"})
	fmt.Println(res.Text(), err)
	_, err = agent.Ask[string](r.Context(ctx), "greeter.greet", nil)
	fmt.Println(errors.Is(err, agent.CodeInvalidArgument))
	fmt.Println(stop())
	// Output:
	// Hello, Ada! <nil>
	// true
	// <nil>
}

// The gateway's endpoints in an HTTP server of the program's own.
func ExampleRuntime_Handler() {
	cfg, types, remove := greeters()
	defer remove()
	r, err := runtime.New(cfg, types, runtime.Options{})
	if err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewServer(r.Handler())
	defer srv.Close()
	get := func() int {
		res, err := http.Get(srv.URL + "/readyz")
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	fmt.Println(get())
	_, stop := run(r)
	fmt.Println(get())
	fmt.Println(stop())
	// Output:
	// 503
	// 200
	// <nil>
}

func ExampleRuntime_Status() {
	cfg, types, remove := greeters()
	defer remove()
	r, err := runtime.New(cfg, types, runtime.Options{Mode: runtime.ModePassive})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := run(r)
	if _, err := r.Call(ctx, "greeter.greet", map[string]string{"name": "Ada"}); err != nil {
		log.Fatal(err)
	}
	for _, a := range r.Status().Agents {
		fmt.Println(a.Name, a.State, "over", a.Communicator, "tools", a.Tools, "calls", a.Calls)
	}
	fmt.Println(stop())
	// Output:
	// greeter ready over local tools [greet] calls 1
	// <nil>
}

// A project file with "broker: {type: ours}" uses the driver of that name.
func ExampleNewDriver() {
	cfg, types, remove := greeters()
	defer remove()
	cfg.Broker.Type = "ours"
	r, err := runtime.New(cfg, types, runtime.Options{Mode: runtime.ModePassive,
		Drivers: map[string]runtime.NewDriver{
			"ours": func(_ context.Context, o runtime.DriverOptions) (pubsub.Driver, error) {
				fmt.Println("a broker for project", o.Project)
				return pubsub.NewMemory(pubsub.MemoryOptions{}), nil
			}}})
	if err != nil {
		log.Fatal(err)
	}
	_, stop := run(r)
	fmt.Println(stop())
	// Output:
	// a broker for project openmas
	// <nil>
}
