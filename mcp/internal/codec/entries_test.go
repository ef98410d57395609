package codec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

func readPrompt(raw json.RawMessage) (*agent.Result, error) {
	return ReadPromptResult(raw, func(string) {})
}

func readContents(raw json.RawMessage) (*agent.Result, error) {
	return ReadResourceResult(raw, "x://asked", func(string) {})
}

// One entry of a result that nobody can read costs itself only, and is told.
func TestOddEntriesOfResults(t *testing.T) {
	const b = `{"uri":"x://b","text":"b"}`
	for raw, want := range map[string][2]string{
		`{"contents":[null,` + b + `,7]}`: {`{"contents":[` + b + `]}`,
			"left out of its contents: number 1: it is null, not an object; " +
				"left out of its contents: number 3: it is a number, not an object"},
		`{"contents":[{"uri":"x://a","text":5.0},` + b + `]}`: {`{"contents":[{"uri":"x://a","text":"5.0"},` + b + `]}`,
			"the text of contents is a number: it becomes the text that it is written in"},
		`{"contents":[{"uri":"x://a","text":{"n": 1}}]}`: {`{"contents":[{"uri":"x://a","text":"{\"n\":1}"}]}`,
			"the text of contents is an object: it becomes the text that it is written in"},
		`{"contents":[{"uri":"x://a","text":null}]}`: {`{"contents":[{"uri":"x://a","text":""}]}`, ""},
		`{"contents":[{"text":"a"}]}`: {`{"contents":[{"text":"a","uri":"x://asked"}]}`,
			"contents without a uri have that of the request"},
		`{"contents":["a"]}`: {`{"contents":[{"text":"a","uri":"x://asked"}]}`,
			"contents without a uri have that of the request"},
		`{"contents":[{"uri":"x://a","blob":"%"},` + b + `]}`: {`{"contents":[` + b + `]}`,
			"left out of its contents: number 1: its data is not base64"},
		`{"messages":[null,{"role":"user","content":{"type":"text","text":"a"}},7]}`: {
			`{"messages":[{"role":"user","content":{"type":"text","text":"a"}}]}`,
			"left out of its messages: number 1: it is null, not an object; " +
				"left out of its messages: number 3: it is a number, not an object"},
		`{"messages":["a"]}`: {`{"messages":[{"content":{"type":"text","text":"a"},"role":"user"}]}`, ""},
	} {
		var told []string
		odd := func(what string) { told = append(told, what) }
		read := func() (*agent.Result, error) { return ReadResourceResult([]byte(raw), "x://asked", odd) }
		if strings.HasPrefix(raw, `{"m`) {
			read = func() (*agent.Result, error) { return ReadPromptResult([]byte(raw), odd) }
		}
		res, err := read()
		if err != nil || string(res.Raw) != want[0] || strings.Join(told, "; ") != want[1] {
			t.Errorf("%s: %v\n got %s; told: %q\nwant %s; told: %s", raw, err, res.Raw, told, want[0], want[1])
		}
	}
	const block = `{"content":[null,{"type":"resource","resource":{"uri":"x://a","text":7}},{"type":"text","text":"b"}]}`
	res, err := DecodeToolResult([]byte(block), false)
	if err != nil || string(res.Raw) != `{"content":[{"type":"text","text":"null"},{"type":"resource","resource":`+
		`{"uri":"x://a","text":"7"}},{"type":"text","text":"b"}]}` {
		t.Errorf("%v, %s", err, res.Raw)
	}
}
