package agent_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openmas/openmas/agent"
)

// serve stands in for the runtime: it makes the agents callable and returns the context of a
// caller.
func serve(agents map[string]agent.Capabilities) context.Context {
	dir := hosts{}
	for name, caps := range agents {
		h, err := agent.NewHost(agent.Env{Name: name, Directory: dir}, caps)
		if err != nil {
			panic(err)
		}
		dir[name] = h
	}
	return agent.WithEnv(context.Background(), agent.Env{Name: "someone", Directory: dir})
}

type City struct {
	Name string `json:"name" jsonschema:"the city's name"`
	Days int    `json:"days,omitempty" jsonschema:"how many days to look ahead"`
}

func ExampleNewTool() {
	forecast := agent.NewTool("forecast", "Forecast the weather for a city.",
		func(_ context.Context, c City) (string, error) {
			if c.Name == "Atlantis" {
				return "", agent.NotFound(c.Name)
			}
			return fmt.Sprintf("%s: sunny for %d days", c.Name, c.Days), nil
		}, agent.ReadOnly())

	ctx := serve(map[string]agent.Capabilities{"weather": {Tools: []agent.Tool{forecast}}})
	for _, in := range []any{City{"Bern", 3}, City{Name: "Atlantis"}, map[string]any{"town": "Bern"}} {
		text, err := agent.Ask[string](ctx, "weather.forecast", in)
		fmt.Printf("%q, error %q\n", text, agent.CodeOf(err))
	}
	// Output:
	// "Bern: sunny for 3 days", error ""
	// "", error "not_found"
	// "", error "invalid_argument"
}

type Position struct{ Lat, Lon float64 }

func ExampleAsk() {
	geo := agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("locate", "Where a city is.", func(context.Context, City) (Position, error) {
			return Position{46.9, 7.4}, nil
		}),
	}}
	weather := agent.Capabilities{Requires: []agent.Requirement{agent.Require("geo.locate")}, Tools: []agent.Tool{
		agent.NewTool("forecast", "Forecast the weather for a city.",
			func(ctx context.Context, c City) (string, error) {
				// ctx carries who asks, the deadline, the cancellation
				pos, err := agent.Ask[Position](ctx, "geo.locate", c)
				if err != nil {
					return "", err
				}
				return fmt.Sprintf("sun at %.1f, %.1f", pos.Lat, pos.Lon), nil
			}),
	}}
	ctx := serve(map[string]agent.Capabilities{"geo": geo, "weather": weather})
	fmt.Println(agent.Ask[string](ctx, "weather.forecast", City{Name: "Bern"}))
	// Output: sun at 46.9, 7.4 <nil>
}

func ExampleNewPrompt() {
	type Letter struct {
		To   string `json:"to" jsonschema:"who gets the letter"`
		Tone string `json:"tone,omitempty" jsonschema:"how it sounds"`
	}
	write := agent.NewPrompt("write", "Write a letter.",
		func(_ context.Context, l Letter) (*agent.PromptResult, error) {
			return &agent.PromptResult{Messages: []agent.Message{agent.UserText("Write to " + l.To + ", " + l.Tone +
				".")}}, nil
		},
		agent.Completes("tone", func(_ context.Context, prefix string, _ map[string]string) ([]string, error) {
			var fit []string
			for _, t := range []string{"friendly", "formal", "short"} {
				if strings.HasPrefix(t, prefix) {
					fit = append(fit, t)
				}
			}
			return fit, nil
		}))

	ctx := serve(map[string]agent.Capabilities{"clerk": {Prompts: []agent.Prompt{write}}})
	for _, a := range write.Info().Arguments {
		fmt.Println(a.Name, a.Required, a.Description)
	}
	tones, err := agent.Complete(ctx, "clerk", "write", agent.CompleteRequest{Argument: "tone", Value: "f"})
	fmt.Println(tones.Values, err)
	p, err := agent.GetPrompt(ctx, "clerk.write", map[string]string{"to": "Anna", "tone": "friendly"})
	fmt.Println(p.Messages[0].Content.Text, err)
	// Output:
	// to true who gets the letter
	// tone false how it sounds
	// [friendly formal] <nil>
	// Write to Anna, friendly. <nil>
}

func ExampleNewResource() {
	latest := agent.NewResource("review://latest", "latest", "The newest report.", "text/markdown",
		func(context.Context) (string, error) { return "# All is well", nil })
	file := agent.NewResourceFunc("review://file/{+path}", "file", "The report on one file.", "text/markdown",
		func(_ context.Context, _ string, vars map[string]string) ([]agent.ResourceContents, error) {
			return []agent.ResourceContents{{Text: "# " + vars["path"]}}, nil
		})

	ctx := serve(map[string]agent.Capabilities{"editor": {Resources: []agent.Resource{latest, file}}})
	for _, uri := range []string{"review://latest", "review://file/cmd/main.go"} {
		contents, err := agent.ReadResource(ctx, "editor", uri)
		fmt.Println(contents[0].Text, err)
	}
	// Output:
	// # All is well <nil>
	// # cmd/main.go <nil>
}

func ExampleOn() {
	type Found struct{ Path string }
	index := agent.On("file.found", func(ctx context.Context, f Found) error {
		fmt.Println(f.Path, "from", agent.CallFrom(ctx).From.Agent)
		return nil
	})

	// The runtime delivers an event as a call. Whoever publishes writes agent.Publish(ctx,
	// "file.found", Found{...}).
	ctx := serve(map[string]agent.Capabilities{"indexer": {Subscriptions: []agent.Subscription{index}}})
	_, err := agent.Do(ctx, agent.Call{Op: agent.OpEvent, Agent: "indexer", Name: "file.found"}, Found{"main.go"})
	fmt.Println(err)
	// Output:
	// main.go from someone
	// <nil>
}

func ExampleElicit() {
	type Consent struct {
		Delete bool `json:"delete" jsonschema:"really delete it?"`
	}
	remove := agent.NewTool("remove", "Delete everything.", func(ctx context.Context, _ struct{}) (string, error) {
		c, err := agent.Elicit[Consent](ctx, "This cannot be undone.")
		if err != nil || !c.Delete {
			return "kept", err
		}
		return "deleted", nil
	}, agent.Destructive(true))

	ctx := serve(map[string]agent.Capabilities{"janitor": {Tools: []agent.Tool{remove}}})
	user := agent.WithBackChannel(ctx, agent.BackChannelFuncs{
		Elicit: func(_ context.Context, r agent.ElicitRequest) (agent.ElicitResult, error) {
			fmt.Println("asked:", r.Message)
			return agent.ElicitResult{Action: agent.ElicitAccept, Content: json.RawMessage(`{"delete":true}`)}, nil
		},
	})
	fmt.Println(agent.Ask[string](user, "janitor.remove", nil))

	_, err := agent.Ask[string](ctx, "janitor.remove", nil) // nobody to ask
	fmt.Println(agent.CodeOf(err))
	// Output:
	// asked: This cannot be undone.
	// deleted <nil>
	// unavailable
}
