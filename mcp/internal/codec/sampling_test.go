package codec

import (
	"encoding/json"
	"strings"
	"testing"
)

const twoBlocks = `{"maxTokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"a"},` +
	`{"type":"image","data":"AA==","mimeType":"image/png"}]},{"role":"assistant","content":{"type":"text","text":"b"}}]}`

func TestSampleParamsFitTheClient(t *testing.T) {
	const apart = `{"maxTokens":1,"messages":[{"role":"user","content":{"type":"text","text":"a"}},` +
		`{"role":"user","content":{"type":"image","data":"AA==","mimeType":"image/png"}},` +
		`{"role":"assistant","content":{"type":"text","text":"b"}}]}`
	for _, c := range []struct{ params, version, want string }{
		{twoBlocks, Version20251125, twoBlocks},
		{twoBlocks, VersionUnknown, twoBlocks},
		{twoBlocks, Version20250618, apart},
		{apart, Version20250618, apart},
		{`{"messages":[{"content":{"type":"video","n":1.0}},7],"z":1.0}`, Version20250618,
			`{"messages":[{"content":{"type":"video","n":1.0}},7],"z":1.0}`},
		{`{"messages":"x"}`, Version20250618, `{"messages":"x"}`},
	} {
		if got := sampleParams([]byte(c.params), c.version); string(got) != c.want {
			t.Errorf("%s: %s\nwant %s", c.version, got, c.want)
		}
	}
}

func TestSampleAnswersFitTheServer(t *testing.T) {
	answer := func(content string) string {
		return `{"later":1.0,"role":"assistant","content":` + content + `,"model":"m"}`
	}
	texts := answer(`[{"type":"text","text":"a"},{"type":"text","text":"b"}]`)
	wish := answer(`[{"type":"text","text":"a"},{"type":"tool_use","id":"1","name":"n","input":{}}]`)
	one := answer(`{"type":"text","text":"a","n":1.0}`)
	for _, c := range []struct{ answer, version, want string }{
		{texts, Version20251125, texts},
		{wish, Version20251125, wish},
		{texts, Version20241105, answer(`{"type":"text","text":"a\nb"}`)},
		{one, Version20241105, one},
		{answer(`[{"type":"text","text":"a","n":1.0}]`), Version20241105, one},
		{`{}`, Version20241105, `{}`},
	} {
		got, err := SampleAnswer(json.RawMessage(c.answer), c.version)
		if err != nil || string(got) != c.want {
			t.Errorf("%s for %s: %s, %v\nwant %s", c.answer, c.version, got, err, c.want)
		}
	}
	if _, err := SampleAnswer(json.RawMessage(wish), Version20250618); err == nil ||
		!strings.Contains(err.Error(), "2 blocks") {
		t.Errorf("a wish to use a tool for a server that does not know it: %v", err)
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
