package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/openmas/openmas/agent"
)

const shop = "agents: {clerk: {type: clerk}}"

// orderSchema is that of a tool as other languages declare them.
const orderSchema = `{"type":"object","required":["item","amount","address","express"],"properties":{
	"note":{"type":"string","description":"what the driver is to know"},
	"item":{"type":"string","description":"what to order","minLength":2},
	"amount":{"type":"integer","minimum":1,"maximum":12,"default":1},
	"size":{"type":"string","enum":["small","middle","large"],"default":"middle"},
	"express":{"type":"boolean"},
	"address":{"type":"object","required":["street","city"],"properties":{
		"street":{"type":"string"},"city":{"type":"string","description":"where to"},"floor":{"type":"integer"}}},
	"tags":{"type":"array","items":{"type":"string"}}}}`

// clerk has tools that ask, in every way.
type clerk struct{ env agent.Env }

func (c *clerk) Start(_ context.Context, env agent.Env) error { c.env = env; return nil }

type steps struct {
	N     int `json:"n"`
	Pause int `json:"pause,omitempty" jsonschema:"milliseconds between two steps"`
}

func (c *clerk) Capabilities() agent.Capabilities {
	type seat struct {
		Row   int    `json:"row"`
		Place string `json:"place"`
		Extra string `json:"extra,omitempty"`
	}
	type sure struct {
		Sure bool `json:"sure" jsonschema:"whether to go on"`
	}
	type none struct{}
	type of struct {
		Who  string `json:"who" jsonschema:"whom the letter is for"`
		Tone string `json:"tone,omitempty"`
	}
	return agent.Capabilities{
		Description: "Takes orders.",
		Tools: []agent.Tool{
			agent.RawTool("order", "Order something.", json.RawMessage(orderSchema), agent.CallerFunc(
				func(_ context.Context, c *agent.Call) (*agent.Result, error) {
					return &agent.Result{Structured: c.Input}, nil
				})),
			agent.NewTool("count", "Count up to n.", func(ctx context.Context, in steps) (string, error) {
				for i := range in.N {
					agent.Progress(ctx, float64(i+1), float64(in.N), fmt.Sprintf("step %d", i+1))
					if i == 1 {
						agent.Log(ctx, slog.LevelInfo, "two is even")
					}
					select {
					case <-ctx.Done():
						return "", ctx.Err()
					case <-time.After(time.Duration(in.Pause) * time.Millisecond):
					}
				}
				return "counted", nil
			}),
			agent.NewTool("seat", "Book a seat.", func(ctx context.Context, _ none) (seat, error) {
				return agent.Elicit[seat](ctx, "Which seat?")
			}),
			agent.NewTool("delete", "Delete everything.", func(ctx context.Context, _ none) (sure, error) {
				return agent.Elicit[sure](ctx, "Delete it all?\nThere is no way back.")
			}),
			agent.NewTool("think", "Have a model think.", func(ctx context.Context, _ none) (string, error) {
				r, err := agent.Sample(ctx, agent.SampleRequest{MaxTokens: 5, SystemPrompt: "be short",
					Messages: []agent.SampleMessage{agent.UserMessage(agent.Text("why?"))}})
				return r.Content.Text(), err
			}),
			agent.NewTool("nap", "Sleep until canceled.", func(ctx context.Context, _ none) (string, error) {
				agent.Progress(ctx, 1, 0, "asleep")
				err := os.WriteFile(filepath.Join(c.env.StateDir, "asleep"), nil, 0o600)
				if err != nil {
					return "", err
				}
				<-ctx.Done()
				return "", os.WriteFile(filepath.Join(c.env.StateDir, "woken"), []byte(context.Cause(ctx).Error()),
					0o600)
			}),
		},
		Prompts: []agent.Prompt{agent.NewPrompt("letter", "Write a letter.",
			func(_ context.Context, in of) (*agent.PromptResult, error) {
				return &agent.PromptResult{Messages: []agent.Message{agent.UserText("Dear " + in.Who + ",")}}, nil
			})},
		Resources: []agent.Resource{
			agent.NewResource("clerk://hours", "hours", "Opening hours.", "text/plain",
				func(context.Context) (string, error) { return "9 to 5", nil }),
			agent.NewResourceFunc("clerk://orders/{id}", "order", "An order.", "image/png",
				func(_ context.Context, uri string, vars map[string]string) ([]agent.ResourceContents, error) {
					if vars["id"] == "0" {
						return nil, agent.NotFound(uri)
					}
					return []agent.ResourceContents{{URI: uri, Blob: []byte(vars["id"])}}, nil
				}),
		},
	}
}
