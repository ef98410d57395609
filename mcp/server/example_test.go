package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

type guest struct {
	Name string `json:"name"`
}

// greeter is an agent that can be called.
func greeter() *agent.Host {
	hello := agent.NewTool("hello", "Greet somebody.",
		func(_ context.Context, g guest) (string, error) { return "Hello, " + g.Name + "!", nil })
	h, err := agent.NewHost(agent.Env{Name: "greeter"}, agent.Capabilities{Tools: []agent.Tool{hello}})
	if err != nil {
		log.Fatal(err)
	}
	return h
}

// only is a directory of one agent. A runtime has one of all its agents.
type only struct{ *agent.Host }

func (o only) Agents() []agent.Info { return []agent.Info{o.Info()} }

func (o only) Agent(name string) (agent.Info, bool) { return o.Info(), name == o.Info().Name }

func ExampleGateway() {
	gateway, err := server.NewGateway(only{greeter()}, server.GatewayOptions{Project: "demo"})
	if err != nil {
		log.Fatal(err)
	}
	listener := httptest.NewServer(gateway) // any HTTP server will do
	defer listener.Close()

	ctx := context.Background()
	session, err := client.Connect(ctx, client.Target{Transport: mcp.Streamable, URL: listener.URL}, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range session.Info().Tools {
		fmt.Println(tool.Name, "-", tool.Description)
	}
	fmt.Println(session.Close(ctx))
	fmt.Println(gateway.Drain(ctx))
	// Output:
	// greeter_hello - Greet somebody.
	// <nil>
	// <nil>
}

// HTTP has an endpoint for each agent. With a client.Dialer it is a communicator.
func ExampleHTTP() {
	ctx := context.Background()
	h, err := server.NewHTTP(server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	listener := httptest.NewServer(h)
	defer listener.Close()
	if _, err := h.Serve(ctx, greeter()); err != nil {
		log.Fatal(err)
	}

	dialer := &client.Dialer{Transport: mcp.SSE, BaseURL: func() string { return listener.URL }}
	peer, err := dialer.Dial(ctx, "greeter") // at listener.URL/greeter/sse
	if err != nil {
		log.Fatal(err)
	}
	res, err := peer.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "greeter", Name: "hello",
		Input: json.RawMessage(`{"name": "Ann"}`)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Content[0].Text)
	fmt.Println(dialer.Close(ctx), h.Close(ctx))
	// Output:
	// Hello, Ann!
	// <nil> <nil>
}

// A program that an MCP client starts serves one agent on its standard input and output.
func ExampleServeStdio() {
	in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"demo","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"hello","arguments":{"name":"Ann"}}}
`)
	var out bytes.Buffer
	err := server.ServeStdio(context.Background(), greeter(), in, &out, server.Options{}, server.Identity{})
	if err != nil {
		log.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, `"id":2`) {
			fmt.Print(line)
		}
	}
	// Output: {"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"Hello, Ann!"}]}}
}
