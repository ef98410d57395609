package codec

import (
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

const twoBlocks = `{"maxTokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"a"},` +
	`{"type":"image","data":"AA==","mimeType":"image/png"}]},{"role":"assistant","content":{"type":"text","text":"b"}}]}`

func TestSampleParamsFitTheClient(t *testing.T) {
	for version, want := range map[string]string{
		Version20251125: `[{"content":[{"type":"text","text":"a"},{"type":"image","mimeType":"image/png","data":"AA=="}],"role":"user"},` +
			`{"content":{"type":"text","text":"b"},"role":"assistant"}]`,
		Version20250618: `[{"content":{"type":"text","text":"a"},"role":"user"},` +
			`{"content":{"type":"image","mimeType":"image/png","data":"AA=="},"role":"user"},` +
			`{"content":{"type":"text","text":"b"},"role":"assistant"}]`,
	} {
		p, err := SampleParams([]byte(twoBlocks), version)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(p.Messages); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", version, got, err, want)
		}
	}
	if _, err := SampleParams([]byte(`{"messages":[{"content":{"type":"video"}}]}`), ""); agent.CodeOf(err) !=
		agent.CodeInvalidArgument {
		t.Errorf("a request that is none: %v", err)
	}
}

func TestSampleAnswersFitTheServer(t *testing.T) {
	answer := func(content string) json.RawMessage {
		return json.RawMessage(`{"role":"assistant","model":"m","content":` + content + `}`)
	}
	texts := answer(`[{"type":"text","text":"a"},{"type":"text","text":"b"}]`)
	wish := answer(`[{"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"n","input":{}}]`)
	for _, c := range []struct {
		answer  json.RawMessage
		version string
		blocks  int
		text    string
	}{
		{texts, Version20251125, 2, "a"},
		{texts, Version20241105, 1, "a\nb"},
		{answer(`{"type":"text","text":"a"}`), Version20241105, 1, "a"},
		{wish, Version20251125, 2, "a"},
	} {
		var res sdk.CreateMessageWithToolsResult
		err := SampleAnswer(c.answer, c.version, &res)
		if err != nil || len(res.Content) != c.blocks || res.Content[0].(*sdk.TextContent).Text != c.text {
			t.Errorf("%s for %s: %+v, %v", c.answer, c.version, res, err)
		}
	}
	if err := SampleAnswer(wish, Version20250618, &sdk.CreateMessageWithToolsResult{}); err == nil ||
		!strings.Contains(err.Error(), "2 blocks") {
		t.Errorf("a wish to use a tool for a server that does not know it: %v", err)
	}
	if err := SampleAnswer(json.RawMessage(`"no"`), "", &sdk.CreateMessageWithToolsResult{}); err == nil {
		t.Error("an answer that is none")
	}
}

func TestSamplesWithTools(t *testing.T) {
	for params, want := range map[string]bool{
		twoBlocks: false,
		`[]`:      false,
		`{"messages":[],"tools":[{"name":"n","inputSchema":{}}]}`:                                                      true,
		`{"messages":[],"toolChoice":{"mode":"none"}}`:                                                                 true,
		`{"messages":[{"role":"user","content":{"type":"tool_result","toolUseId":"1","content":[]}}]}`:                 true,
		`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"n","input":{},"extra":1}]}]}`: true,
	} {
		if got := SamplesWithTools([]byte(params)); got != want {
			t.Errorf("%s: %v", params, got)
		}
	}
}
