package communicator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/communicator"
)

// greeter is an agent with one tool.
func greeter() *agent.Host {
	type name struct{ Name string }
	h, err := agent.NewHost(agent.Env{Name: "greeter"}, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("greet", "Greet somebody.", func(_ context.Context, in name) (string, error) {
			return "hello " + in.Name, nil
		}),
	}})
	if err != nil {
		log.Fatal(err)
	}
	return h
}

// An agent is served under its name, and called through a session. With another communicator in the
// place of Local nothing else changes.
func Example() {
	ctx := context.Background()
	var c communicator.Communicator = communicator.NewLocal()
	defer c.Close(ctx)

	if _, err := c.Serve(ctx, greeter()); err != nil {
		log.Fatal(err)
	}
	peer, err := c.Dial(ctx, "greeter")
	if err != nil {
		log.Fatal(err)
	}
	res, err := peer.Call(ctx, &agent.Call{
		Op: agent.OpTool, Agent: "greeter", Name: "greet", Input: json.RawMessage(`{"Name":"Ada"}`),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text())
	// Output: hello Ada
}

// A binding that is closed refuses new calls, and waits for the running ones.
func ExampleBinding() {
	ctx := context.Background()
	c := communicator.NewLocal()
	defer c.Close(ctx)

	binding, err := c.Serve(ctx, greeter())
	if err != nil {
		log.Fatal(err)
	}
	if err := binding.Close(ctx); err != nil {
		log.Fatal(err)
	}
	_, err = c.Dial(ctx, "greeter")
	fmt.Println(err)
	// Output: not_found: no agent "greeter" in this process
}
