package codec

import (
	"encoding/json"
	"testing"

	"github.com/openmas/openmas/agent"
)

func TestPropertiesAreWrittenAsObjects(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"object","properties":{"b":{"type":"string"},"a":true,"c":false},"required":["a"]}`: `{"properties":{"a":{},"b":{"type":"string"},"c":{"not":{}}},"required":["a"],"type":"object"}`,
		`{"type":"object","properties":{"b":{"type":"string"}, "a":{}}}`:                             `{"type":"object","properties":{"b":{"type":"string"}, "a":{}}}`,
		`{"type":"object","properties":true}`:                                                        `{"type":"object","properties":true}`,
		`{"type":"object"}`:                                                                          `{"type":"object"}`,
	} {
		tool := ToTool(agent.ToolInfo{Name: "t", InputSchema: json.RawMessage(in), OutputSchema: json.RawMessage(in)},
			"t")
		if got, out := string(tool.InputSchema.(json.RawMessage)),
			string(tool.OutputSchema.(json.RawMessage)); got != want || out != want {
			t.Errorf("%s: input %s, output %s", in, got, out)
		}
	}
}
