package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// serveGreeter serves an agent with one tool at URL/greeter/mcp, as any MCP server might.
func serveGreeter(ctx context.Context) (url string, stop func()) {
	type guest struct {
		Name string `json:"name"`
	}
	host, err := agent.NewHost(agent.Env{Name: "greeter"}, agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("hello", "Greet somebody.",
			func(_ context.Context, g guest) (string, error) { return "Hello, " + g.Name + "!", nil })}})
	if err != nil {
		log.Fatal(err)
	}
	h, err := server.NewHTTP(server.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := h.Serve(ctx, host); err != nil {
		log.Fatal(err)
	}
	listener := httptest.NewServer(h)
	return listener.URL, func() { _ = h.Close(ctx); listener.Close() }
}

func ExampleConnect() {
	ctx := context.Background()
	url, stop := serveGreeter(ctx)
	defer stop()

	// For a program on stdio: Transport: mcp.Stdio, Command: []string{"python3", "server.py"}.
	session, err := client.Connect(ctx, client.Target{Name: "greeter", Transport: mcp.Streamable,
		URL: url + "/greeter/mcp"}, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = session.Close(ctx) }()

	fmt.Println(session.ProtocolVersion(), session.Info().Tools[0].Name)
	res, err := session.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "greeter", Name: "hello",
		Input: json.RawMessage(`{"name": "Ann"}`)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Content[0].Text)
	// Output:
	// 2025-11-25 hello
	// Hello, Ann!
}

func ExampleConnectError() {
	_, err := client.Connect(context.Background(), client.Target{Name: "notes", Transport: mcp.Stdio,
		Command: []string{"./no-such-server"}}, client.Options{})
	if e := (*client.ConnectError)(nil); errors.As(err, &e) {
		fmt.Println(e.Target, "-", e.Reason)
	}
	// Output: notes (no-such-server) - no program
}

// A Dialer reaches the agents of another process, each at an endpoint of its own.
func ExampleDialer() {
	ctx := context.Background()
	url, stop := serveGreeter(ctx)
	defer stop()

	dialer := &client.Dialer{Transport: mcp.SSE, BaseURL: func() string { return url }}
	peer, err := dialer.Dial(ctx, "greeter") // at url/greeter/sse
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(peer.Info().Name)
	fmt.Println(dialer.Close(ctx))
	// Output:
	// greeter
	// <nil>
}
