package agent

import (
	"context"
	"testing"
)

type dirFunc struct{ CallerFunc }

func (dirFunc) Agents() []Info            { return nil }
func (dirFunc) Agent(string) (Info, bool) { return Info{}, false }

func TestHostServesEachOperation(t *testing.T) {
	type in struct {
		City string `json:"city" jsonschema:"city to forecast"`
		Days int    `json:"days,omitempty"`
	}
	h, err := NewHost(Env{Name: "weather"}, Capabilities{
		Tools: []Tool{NewTool("forecast", "d", func(ctx context.Context, i in) (string, error) {
			Progress(ctx, 1, 2, "half")
			return i.City, nil
		}, ReadOnly())},
		Prompts: []Prompt{NewPrompt("ask", "d", func(ctx context.Context, a struct {
			B string `json:"b" jsonschema:"second letter"`
			A string `json:"a,omitempty"`
		}) (*PromptResult, error) {
			return &PromptResult{Messages: []Message{UserText(a.B)}}, nil
		})},
		Resources: []Resource{NewResourceFunc("w://{city}/x", "n", "d", "text/plain", func(_ context.Context, uri string, v map[string]string) ([]ResourceContents, error) {
			return []ResourceContents{{Text: v["city"]}}, nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	env := Env{Name: "me", Directory: dirFunc{h.Call}}
	ctx := WithEnv(t.Context(), env)
	var got ProgressNotice
	s, err := Ask[string](ctx, "weather.forecast", map[string]any{"city": "Bern"}, OnProgress(func(p ProgressNotice) { got = p }))
	if err != nil || s != "Bern" || got.Message != "half" {
		t.Fatalf("%q %v %+v", s, err, got)
	}
	_, err = Ask[string](ctx, "weather.forecast", map[string]any{"town": "Bern"})
	if CodeOf(err) != CodeInvalidArgument {
		t.Fatal(err)
	}
	p, err := GetPrompt(ctx, "weather.ask", map[string]string{"b": "x"})
	if err != nil || p.Messages[0].Content.Text != "x" {
		t.Fatal(p, err)
	}
	r, err := ReadResource(ctx, "weather", "w://a%20b/x")
	if err != nil || r[0].Text != "a b" {
		t.Fatal(r, err)
	}
}
