package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/openmas/openmas/agent"
)

// Counter is an agent: a struct whose exported fields the runtime fills from the project file. Its
// tools run concurrently.
type Counter struct {
	Step int64 `json:"step"`
	n    atomic.Int64
}

// Capabilities implements [agent.Agent].
func (c *Counter) Capabilities() agent.Capabilities {
	return agent.Capabilities{Tools: []agent.Tool{agent.NewTool("next", "The next number.",
		func(context.Context, struct{}) (int64, error) { return c.n.Add(c.Step), nil })}}
}

// Start implements [agent.Starter].
func (c *Counter) Start(_ context.Context, env agent.Env) error {
	env.Logger.Info("counting", "step", c.Step)
	return nil
}

func ExampleAgent() {
	var a agent.Agent = &Counter{Step: 5}

	ctx := serve(map[string]agent.Capabilities{"counter": a.Capabilities()})
	for range 2 {
		fmt.Println(agent.Ask[int](ctx, "counter.next", nil))
	}
	// Output:
	// 5 <nil>
	// 10 <nil>
}

func ExampleRequire() {
	caps := agent.Capabilities{Requires: []agent.Requirement{
		agent.Require("geo.locate"), // a tool: its agent starts first
		agent.Require("archive"),    // an agent, whatever it offers
	}}
	for _, r := range caps.Requires {
		fmt.Printf("agent %q, tool %q\n", r.Agent(), r.Tool())
	}
	// Output:
	// agent "geo", tool "locate"
	// agent "archive", tool ""
}

func ExampleBackChannelFuncs() {
	count := agent.NewTool("count", "Count to two.", func(ctx context.Context, _ struct{}) (string, error) {
		for n := range 2 {
			agent.Progress(ctx, float64(n+1), 2, "counting")
		}
		agent.Log(ctx, slog.LevelInfo, "that is all")
		return "done", nil
	})

	ctx := serve(map[string]agent.Capabilities{"counter": {Tools: []agent.Tool{count}}})
	ctx = agent.WithBackChannel(ctx, agent.BackChannelFuncs{
		OnProgress: func(p agent.ProgressNotice) { fmt.Printf("%s: %v of %v\n", p.Message, p.Progress, p.Total) },
		OnLog:      func(l agent.LogNotice) { fmt.Printf("%v: %s\n", l.Level, l.Data) },
	})
	fmt.Println(agent.Ask[string](ctx, "counter.count", nil))
	// Output:
	// counting: 1 of 2
	// counting: 2 of 2
	// INFO: "that is all"
	// done <nil>
}

func ExampleSample() {
	type Text struct{ Text string }
	title := agent.NewTool("title", "Find a title for a text.", func(ctx context.Context, t Text) (string, error) {
		ask := agent.UserMessage(agent.Content{Type: "text", Text: "A title for: " + t.Text})
		r, err := agent.Sample(ctx, agent.SampleRequest{MaxTokens: 20, Messages: []agent.SampleMessage{ask}})
		if err != nil {
			return "", err
		}
		return r.Content[0].Text, nil
	})

	ctx := serve(map[string]agent.Capabilities{"writer": {Tools: []agent.Tool{title}}})
	// The caller has the model. An MCP client that can sample is such a caller too.
	ctx = agent.WithBackChannel(ctx, agent.BackChannelFuncs{
		Sample: func(_ context.Context, r agent.SampleRequest) (agent.SampleResult, error) {
			fmt.Println("asked:", r.Messages[0].Content[0].Text)
			return agent.SampleResult{Role: "assistant", Model: "small", StopReason: "endTurn",
				Content: agent.Blocks{{Type: "text", Text: "The Sea"}}}, nil
		},
	})
	fmt.Println(agent.Ask[string](ctx, "writer.title", Text{"Waves."}))
	// Output:
	// asked: A title for: Waves.
	// The Sea <nil>
}

func ExampleIdempotencyKey() {
	type Book struct{ Title string }
	orders := 0
	order := agent.NewTool("order", "Order a book.", func(_ context.Context, b Book) (string, error) {
		orders++
		return fmt.Sprintf("order %d: %s", orders, b.Title), nil
	})

	ctx := serve(map[string]agent.Capabilities{"shop": {Tools: []agent.Tool{order}}})
	key := agent.IdempotencyKey("cart-17") // the same for each attempt at the same piece of work
	fmt.Println(agent.Ask[string](ctx, "shop.order", Book{"Emma"}, key))
	fmt.Println(agent.Ask[string](ctx, "shop.order", Book{"Emma"}, key)) // its result was kept
	_, err := agent.Ask[string](ctx, "shop.order", Book{"Persuasion"}, key)
	fmt.Println(agent.CodeOf(err))
	// Output:
	// order 1: Emma <nil>
	// order 1: Emma <nil>
	// invalid_argument
}

func ExampleError() {
	quote := agent.NewTool("quote", "A price.", func(context.Context, struct{}) (float64, error) {
		err := agent.Errorf(agent.CodeUnavailable, "the exchange is closed")
		err.RetryAfter = time.Hour
		return 0, err
	})

	ctx := serve(map[string]agent.Capabilities{"broker": {Tools: []agent.Tool{quote}}})
	_, err := agent.Ask[float64](ctx, "broker.quote", nil)
	fmt.Println(errors.Is(err, agent.CodeUnavailable)) // alike over every communicator
	if e := (*agent.Error)(nil); errors.As(err, &e) {
		fmt.Println(e.Message, e.RetryAfter)
	}
	// Output:
	// true
	// the exchange is closed 1h0m0s
}

// A middleware stands before a tool, or anything else that takes calls.
func ExampleMiddleware() {
	announce := func(next agent.Caller) agent.Caller {
		return agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			fmt.Println(c.From.Agent, "calls", c.Target())
			return next.Call(ctx, c)
		})
	}
	hello := agent.NewTool("hello", "Say hello.",
		func(context.Context, struct{}) (string, error) { return "hello", nil }, agent.WithMiddleware(announce))

	ctx := serve(map[string]agent.Capabilities{"greeter": {Tools: []agent.Tool{hello}}})
	fmt.Println(agent.Ask[string](ctx, "greeter.hello", nil))
	// Output:
	// someone calls greeter.hello
	// hello <nil>
}
