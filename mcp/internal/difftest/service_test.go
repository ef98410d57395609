package difftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/openmas/openmas/agent"
)

// service is the agent behind our servers: its tools say how a call reached them, and answer in
// every way that there is.
type service struct{}

var serviceTools = []string{"echo", "call", "texts", "both", "value", "blocks", "metadata", "nothing", "fail", "busy",
	"panic", "notices", "hang", "elicit", "sample", "roots", "pending"}

// Info implements [communicator.Service].
func (service) Info() agent.Info {
	info := agent.Info{Name: "callee", Version: "3"}
	for _, name := range serviceTools {
		info.Tools = append(info.Tools, agent.ToolInfo{Name: name, InputSchema: json.RawMessage(`{"type":"object"}`)})
	}
	return info
}

// Call implements [agent.Caller].
func (service) Call(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	ctx = agent.WithBackChannel(ctx, c.Back)
	switch c.Name {
	case "echo":
		return &agent.Result{Structured: c.Input}, nil
	case "call":
		return agent.JSONResult(describe(ctx, c))
	case "texts":
		return &agent.Result{Content: []agent.Content{agent.Text("a\n\"b\"\u2028<&>\x00🐙"), agent.Text("")}}, nil
	case "both":
		return &agent.Result{Content: []agent.Content{agent.Text("words")},
			Structured: json.RawMessage(`{"n": 9007199254740993, "f":1.0}`)}, nil
	case "value":
		return &agent.Result{Structured: json.RawMessage(`[1, 2]`)}, nil
	case "blocks":
		text := agent.Text("noted")
		text.Annotations, text.Meta = json.RawMessage(`{"audience":["user"]}`), json.RawMessage(`{"k":1}`)
		return &agent.Result{Content: []agent.Content{text, agent.Image([]byte("png"), "image/png"),
			agent.Audio([]byte("wav"), "audio/wav"), agent.Link("a://b", "n"),
			agent.Embed(agent.ResourceContents{URI: "x://1", Text: "t"})}}, nil
	case "metadata":
		return &agent.Result{Content: []agent.Content{agent.Text("m")}, Meta: map[string]json.RawMessage{
			"ui": json.RawMessage(`{"a":1}`), "openmas/code": json.RawMessage(`"internal"`)}}, nil
	case "nothing":
		return &agent.Result{}, nil
	case "fail":
		return nil, &agent.Error{Code: agent.CodeToolFailed, Message: "out of paper",
			Details: json.RawMessage(`{"tray":2}`)}
	case "busy":
		return nil, &agent.Error{Code: agent.CodeResourceExhausted, Message: "later", RetryAfter: 3 * time.Second}
	case "panic":
		panic("as asked")
	case "pending":
		if len(c.Inputs) == 0 {
			return &agent.Result{Pending: &agent.Pending{State: "s1", Requests: map[string]agent.Request{
				"who": {Kind: agent.AskElicit, Params: json.RawMessage(elicitParams)}}}}, nil
		}
		return agent.JSONResult(map[string]any{"inputs": c.Inputs, "state": c.State})
	}
	return useBackChannel(ctx, c)
}

const elicitParams = `{"message":"who?","requestedSchema":` +
	`{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}`

func useBackChannel(ctx context.Context, c *agent.Call) (*agent.Result, error) {
	ask := func(kind, params string) (*agent.Result, error) {
		if c.Back == nil {
			return nil, errors.New("nobody to ask")
		}
		raw, err := c.Back.Request(ctx, agent.Request{Kind: kind, Params: json.RawMessage(params)})
		if err != nil {
			return nil, fmt.Errorf("asked: %w", err)
		}
		return &agent.Result{Structured: raw}, nil
	}
	switch c.Name {
	case "notices":
		agent.Progress(ctx, 1, 2.5, "one")
		agent.Log(ctx, slog.LevelWarn, map[string]int{"n": 1})
		agent.Log(ctx, slog.LevelDebug, "too low")
		agent.Progress(ctx, 2, 0, "")
		return agent.TextResult("told"), nil
	case "hang":
		agent.Progress(ctx, 1, 0, "begun")
		<-ctx.Done()
		return nil, ctx.Err()
	case "elicit":
		// A call's timeout stands still while it asks, so that the tool says how long it waits.
		var in struct {
			Within int `json:"within"` // ms
		}
		if json.Unmarshal(c.Input, &in) == nil && in.Within > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(in.Within)*time.Millisecond)
			defer cancel()
		}
		return ask(agent.AskElicit, elicitParams)
	case "sample":
		return ask(agent.AskSample,
			`{"maxTokens":5,"messages":[{"role":"user","content":{"type":"text","text":"hm"}}]}`)
	case "roots":
		return ask(agent.AskRoots, `{}`)
	}
	return nil, agent.NotFound(c.Target())
}

// describe is what a call says of itself, without what is made up for each.
func describe(ctx context.Context, c *agent.Call) map[string]any {
	id := c.ID
	if !strings.HasPrefix(id, "given") {
		id = "made up"
	}
	key := c.Key[strings.LastIndexByte(c.Key, '/')+1:] // an anonymous client's is its session's
	_, deadline := ctx.Deadline()
	meta := map[string]string{}
	for k, v := range c.Meta {
		if k != "client.id" {
			meta[k] = v
		}
	}
	return map[string]any{"id": id, "op": c.Op, "agent": c.Agent, "name": c.Name, "input": c.Input, "key": key,
		"depth": c.Depth, "attempt": c.Attempt, "state": c.State, "inputs": c.Inputs, "meta": meta,
		"deadline": deadline, "from": c.From, "root": c.Root == c.ID, "path": c.Path}
}
