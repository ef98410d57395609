package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// values are what echo gives back unchanged.
var values = []any{"hello", 42.0, 2.5, true, nil, []any{1.0, "two", []any{3.0}},
	map[string]any{"k": map[string]any{"n": nil}}, "grüße 🦊 日本語", ""}

// options are the flags of the client.
type options struct {
	transport, prefix, calls string
	clients                  int
	abrupt, extras           bool
	target                   []string
}

func look(args []string) error {
	var o options
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.StringVar(&o.transport, "transport", "sse", "stdio, sse or http")
	flags.StringVar(&o.prefix, "prefix", "", "goes before each tool's name")
	flags.StringVar(&o.calls, "calls", "", "a list of [TOOL, ARGUMENTS]")
	flags.IntVar(&o.clients, "clients", 0, "so many sessions at once")
	flags.BoolVar(&o.abrupt, "abrupt", false, "end after the first calls, without a goodbye")
	flags.BoolVar(&o.extras, "extras", false, "a prompt and a resource as well")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.target = flags.Args()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var seen any
	var err error
	switch {
	case o.calls != "":
		seen, err = allCalls(ctx, o)
	case o.clients > 0:
		seen = many(ctx, o)
	default:
		seen, err = wholeProgram(ctx, o)
	}
	if err != nil {
		seen = map[string]any{"broken": err.Error()}
	}
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(seen))
}

// model is the one behind this client: it repeats the question.
type model struct{}

func (model) CreateMessage(_ context.Context, r mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
	text := mcp.NewTextContent("you asked " + mcp.GetTextFromContent(r.Messages[0].Content))
	return &mcp.CreateMessageResult{Model: "parrot",
		SamplingMessage: mcp.SamplingMessage{Role: mcp.RoleAssistant, Content: text}}, nil
}

func connect(ctx context.Context, o options) (*client.Client, *mcp.InitializeResult, error) {
	var way transport.Interface
	var err error
	switch o.transport {
	case "stdio":
		way = transport.NewStdio(o.target[0], nil, o.target[1:]...)
	case "sse":
		way, err = transport.NewSSE(o.target[0])
	case "http":
		way, err = transport.NewStreamableHTTP(o.target[0])
	default:
		err = fmt.Errorf("no transport %q", o.transport)
	}
	if err != nil {
		return nil, nil, err
	}
	c := client.NewClient(way, client.WithSamplingHandler(model{}))
	if err := c.Start(ctx); err != nil {
		return nil, nil, err
	}
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "mcp-go-client", Version: "1.0.0"}
	result, err := c.Initialize(ctx, hello)
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return c, result, nil
}

type object = map[string]any

// call returns what the tests want to know of an answer.
func call(ctx context.Context, c *client.Client, tool string, args any, limit time.Duration) object {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var r mcp.CallToolRequest
	r.Params.Name, r.Params.Arguments = tool, args
	result, err := c.CallTool(ctx, r)
	switch {
	case errors.Is(err, context.DeadlineExceeded), err != nil && strings.Contains(err.Error(), "timeout waiting for"):
		return object{"timeout": true}
	case err != nil:
		return object{"refused": err.Error()}
	}
	answer := object{"is_error": result.IsError, "structured": result.StructuredContent, "types": []string{}}
	for i, block := range result.Content {
		if text, ok := mcp.AsTextContent(block); ok && i == 0 {
			answer["text"] = text.Text
		}
	}
	return answer
}

func (o options) ask(ctx context.Context, c *client.Client, tool string, args any) object {
	return call(ctx, c, o.prefix+tool, args, 15*time.Second)
}

// same reports whether echo gave back the value.
func same(answer object, value any) bool {
	var got any
	text, _ := answer["text"].(string)
	return answer["is_error"] == false && json.Unmarshal([]byte(text), &got) == nil &&
		reflect.DeepEqual(got, object{"echoed": value})
}

func wholeProgram(ctx context.Context, o options) (object, error) {
	c, hello, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	seen := object{"protocol": hello.ProtocolVersion, "server": hello.ServerInfo.Name}
	tools, err := c.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range tools.Tools {
		names = append(names, t.Name)
	}
	seen["tools"] = names
	var echo []object
	for _, v := range values {
		answer := o.ask(ctx, c, "echo", object{"message": v})
		echo = append(echo, object{"value": v, "same": same(answer, v), "answer": answer})
	}
	seen["echo"] = echo
	if o.abrupt {
		if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
			return nil, err
		}
		os.Exit(0)
	}
	seen["add"] = o.ask(ctx, c, "add", object{"a": 2, "b": 3.5})
	seen["fail"] = o.ask(ctx, c, "fail", object{"message": "as asked"})
	seen["invalid"] = o.ask(ctx, c, "add", object{"a": "x"})
	seen["unknown"] = o.ask(ctx, c, "no-such-tool", object{})
	seen["late"] = call(ctx, c, o.prefix+"slow", object{"seconds": 2}, 300*time.Millisecond)
	seen["slow"] = o.ask(ctx, c, "slow", object{"seconds": 0.05})
	seen["nested"] = o.ask(ctx, c, "nested", object{})
	limit := 15 * time.Second
	if o.transport == "sse" {
		limit = 2 * time.Second // mcp-go's transport drops what a server asks: nothing is worth waiting for
	}
	seen["ask"] = call(ctx, c, o.prefix+"ask", object{"question": "why?"}, limit)
	together := make([]any, 20)
	var all sync.WaitGroup
	for i := range together {
		all.Go(func() { together[i] = o.ask(ctx, c, "add", object{"a": i, "b": 1})["text"] })
	}
	all.Wait()
	seen["together"] = together
	if o.extras {
		if err := extras(ctx, o, c, seen); err != nil {
			return nil, err
		}
	}
	seen["closed"] = c.Close() == nil
	return seen, nil
}

func extras(ctx context.Context, o options, c *client.Client, seen object) error {
	var p mcp.GetPromptRequest
	p.Params.Name, p.Params.Arguments = o.prefix+"greet", map[string]string{"name": "Ada"}
	prompt, err := c.GetPrompt(ctx, p)
	if err != nil {
		return err
	}
	seen["prompt"] = mcp.GetTextFromContent(prompt.Messages[0].Content)
	var r mcp.ReadResourceRequest
	r.Params.URI = "note://today"
	note, err := c.ReadResource(ctx, r)
	if err != nil {
		return err
	}
	if text, ok := mcp.AsTextResourceContents(note.Contents[0]); ok {
		seen["resource"] = text.Text
	}
	return nil
}

func allCalls(ctx context.Context, o options) (object, error) {
	c, hello, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	tools, err := c.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return nil, err
	}
	prompts, err := c.ListPrompts(ctx, mcp.ListPromptsRequest{})
	if err != nil {
		return nil, err
	}
	resources, err := c.ListResources(ctx, mcp.ListResourcesRequest{})
	if err != nil {
		return nil, err
	}
	var toolNames, promptNames, uris []string
	for _, t := range tools.Tools {
		toolNames = append(toolNames, t.Name)
	}
	for _, p := range prompts.Prompts {
		promptNames = append(promptNames, p.Name)
	}
	for _, r := range resources.Resources {
		uris = append(uris, r.URI)
	}
	var calls [][2]any
	if err := json.Unmarshal([]byte(o.calls), &calls); err != nil {
		return nil, err
	}
	answers := object{}
	for _, one := range calls {
		answers[fmt.Sprint(one[0])] = call(ctx, c, fmt.Sprint(one[0]), one[1], time.Minute)
	}
	return object{"protocol": hello.ProtocolVersion, "tools": toolNames, "prompts": promptNames, "resources": uris,
		"answers": answers, "closed": c.Close() == nil}, nil
}

func many(ctx context.Context, o options) object {
	good := make([]bool, o.clients)
	var all sync.WaitGroup
	for i := range good {
		all.Go(func() {
			c, _, err := connect(ctx, o)
			if err != nil {
				return
			}
			good[i] = same(o.ask(ctx, c, "echo", object{"message": i}), float64(i)) && c.Close() == nil
		})
	}
	all.Wait()
	n := 0
	for _, ok := range good {
		if ok {
			n++
		}
	}
	return object{"good": n}
}
