package codec

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

func TestPlainID(t *testing.T) {
	for id, want := range map[string]bool{`""`: true, `"a"`: true, `"grüß"`: true, `"\u0061"`: false, `"a\\"`: false,
		`1`: true, `0`: true, `-1`: true, `-0`: false, `9007199254740991`: true, `9007199254740993`: false,
		`1.5`: false,
		`1e3`: false, `null`: false, `{}`: false, ``: false,
		`"` + strings.Repeat("a", 254) + `"`: true, `"` + strings.Repeat("a", 255) + `"`: false} {
		if got := PlainID([]byte(id)); got != want {
			t.Errorf("%.20s: %v", id, got)
		}
	}
}

// The fast path takes a call in which nothing is unusual. Everything else is the SDK's to judge.
func TestWhatIsAPlainCall(t *testing.T) {
	for params, want := range map[string]bool{
		`{"name":"a"}`:                                         true,
		`{"name":"a","arguments":{}}`:                          true,
		`{"name":"a","arguments":[]}`:                          false,
		`{"name":"a","arguments":null}`:                        false,
		`{"name":"a","name":"b"}`:                              false,
		`{"name":"a","arguments":{},"arguments":{"x":1}}`:      false,
		`{"name":"a","_meta":{},"_meta":{"k":1}}`:              false,
		`{"name":1}`:                                           false,
		`{}`:                                                   false,
		`{"name":"a","task":{}}`:                               false,
		`{"name":"a","_meta":{"progressToken":"p"}}`:           true,
		`{"name":"a","_meta":{"progressToken":1.5}}`:           false,
		`{"name":"a","_meta":{"openmas/untrusted":true}}`:      true,
		`{"name":"a","_meta":{"openmas/untrusted":false}}`:     true,
		`{"name":"a","_meta":{"openmas/untrusted":"yes"}}`:     false,
		`{"name":"a","_meta":{"openmas/depth":1.5}}`:           false,
		`{"name":"a","_meta":{"openmas/inputs":"{\"q\":1}"}}`:  true,
		`{"name":"a","_meta":{"openmas/inputs":"{\"q\""}}`:     false,
		`{"name":"a","_meta":{"openmas/inputs":{"q":1}}}`:      false,
		`{"name":"a","_meta":{"openmas/more":[1],"other":2}}`:  true,
		`{"name":"a","_meta":{"openmas/key":"k"}}`:             true,
		`{"name":"a","_meta":{"openmas/key":7}}`:               false,
		`{"name":"a","_meta":{"openmas/timeout":60000}}`:       true,
		`{"name":"a","_meta":{"openmas/timeout":"a minute"}}`:  false,
		`{"name":"a","_meta":{"traceparent":"00-1-2-01"}}`:     true,
		`{"name":"a","_meta":{"traceparent":["00-1-2-01"]}}`:   false,
		`{"name":"a","_meta":{"openmas/path":"desk,editor"}}`:  true,
		`{"name":"a","_meta":{"openmas/caller":{"name":"x"}}}`: false,
	} {
		name, args, _, _, ok := ScanCall([]byte(params), true)
		if ok != want {
			t.Errorf("%s: %v", params, ok)
		}
		if has := strings.Contains(params, `"arguments":{}`); ok && (name != "a" || has != (string(args) == "{}")) {
			t.Errorf("%s: %s(%s)", params, name, args)
		}
	}
	_, _, meta, _, _ := ScanCall([]byte(`{"name":"a","_meta":{"openmas/untrusted":true}}`), true)
	if !meta.Untrusted {
		t.Error("a caller of whom its peer says that it is not trusted is")
	}
	if _, _, meta, _, _ = ScanCall([]byte(`{"name":"a","_meta":{"openmas/untrusted":false}}`), true); meta.Untrusted {
		t.Error("a caller that is trusted is not")
	}
}

// The fast path writes a result in which nothing is unusual.
func TestWhatIsAPlainResultToWrite(t *testing.T) {
	text, noted, marked := agent.Text("a"), agent.Text("a"), agent.Text("a")
	noted.Annotations, marked.Meta = json.RawMessage(`{}`), json.RawMessage(`{}`)
	for name, tt := range map[string]struct {
		res  *agent.Result
		want bool
	}{
		"empty":              {&agent.Result{}, true},
		"text":               {&agent.Result{Content: []agent.Content{text, text}}, true},
		"structured":         {&agent.Result{Structured: json.RawMessage(`{"a":1}`)}, true},
		"both":               {&agent.Result{Structured: json.RawMessage(`[1]`), Content: []agent.Content{text}}, true},
		"no JSON":            {&agent.Result{Structured: json.RawMessage(`{`)}, false},
		"metadata":           {&agent.Result{Meta: map[string]json.RawMessage{"k": json.RawMessage(`1`)}}, false},
		"wants input":        {&agent.Result{Pending: &agent.Pending{}}, false},
		"image":              {&agent.Result{Content: []agent.Content{agent.Image(nil, "image/png")}}, false},
		"annotations":        {&agent.Result{Content: []agent.Content{noted}}, false},
		"a block's metadata": {&agent.Result{Content: []agent.Content{marked}}, false},
		"nothing":            {nil, false},
	} {
		if _, ok := AppendToolResult(nil, tt.res, ResultFormat{Version20251125, false}, nil); ok != tt.want {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

// What the fast path reads of a result, and what it leaves to the SDK, is the same result.
func TestResultsAreReadAlike(t *testing.T) {
	for raw, want := range map[string]string{ // the text or the error, with * when the fast path reads it
		`{"content":[{"type":"text","text":"a"}]}`:                                         "*a",
		`{"content":[{"type":"text","text":"a"}],"isError":false}`:                         "*a",
		`{"content":[{"type":"text","text":"a"}],"isError":true}`:                          "tool_failed: a",
		`{"content":[],"isError":true,"structuredContent":{ "why": 1 }}`:                   `tool_failed: {"why":1}`,
		`{"content":[{"type":"text","text":"a"}],"isError":false,"isError":true}`:          "tool_failed: a",
		`{"content":[{"type":"text","text":"a"}],"resultType":"complete"}`:                 "*a",
		`{"content":[],"structuredContent":{"a":1}}`:                                       `*{"a":1}`,
		`{"content":[],"structuredContent":{ "a" : 1 }}`:                                   `*{"a":1}`,
		`{"content":[],"structuredContent":null}`:                                          "",
		`{"content":[{"type":"text","text":"7"}],"_meta":{"openmas/generated":true}}`:      "*7",
		`{"content":[{"type":"text","text":"7"}],"_meta":{"openmas/generated":false}}`:     "7",
		`{"content":[{"type":"text","text":"7"}],"_meta":{"k":1}}`:                         "*7",
		`{"content":[{"type":"text","text":"7"}],"_meta":{"k":1,"k":2}}`:                   "7",
		`{"content":[{"type":"text","text":"7"}],"_meta":{"openmas/other":1}}`:             "7",
		`{"content":[{"type":"text","text":"7"}],"_meta":{"openmas/structured":"{\"a\""}}`: "7",
		`{"content":[{"type":"text","text":"7","annotations":{}}]}`:                        "7",
		`{"content":[{"type":"image","data":"AA==","mimeType":"x"}]}`:                      "",
	} {
		res, err := DecodeToolResult([]byte(raw), true)
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = res.Text()
		}
		if _, fast := scanToolResult([]byte(raw), true); fast {
			got = "*" + got
		}
		if got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
		checkDecode(t, []byte(raw), true)
		checkDecode(t, []byte(raw), false)
	}
	if _, fast := scanToolResult([]byte(`{"resultType":"input_required"}`), true); fast {
		t.Error("a result that wants input is read as one that is complete")
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{"{ }": "{ }", "\n{ }": "{}", "\r{ }": "{}", "{\n\"a\" : 1}": `{"a":1}`,
		"{\"a\": 1\r}": `{"a":1}`, "{\n": "{\n"} {
		if got := string(AppendOneLine([]byte("x"), []byte(in))); got != "x"+want {
			t.Errorf("%q: %q", in, got)
		}
	}
	for in, want := range map[string]string{"{ }": "{}", "\t1": "1", "[1,\n2]": "[1,2]", `" "`: `" "`, "{ ": "{ "} {
		if got := string(Compact([]byte(in))); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Numbers that a peer names are bounded, whatever they are.
func TestNumbersOfAPeer(t *testing.T) {
	for _, tt := range []struct {
		given          any
		timeout        time.Duration
		depth, attempt int
	}{
		{float64(60_000), time.Minute, 60_000, 60_000},
		{json.Number("60000"), time.Minute, 60_000, 60_000},
		{int64(60_000), time.Minute, 60_000, 60_000},
		{60_000, time.Minute, 60_000, 60_000},
		{float64(1), time.Millisecond, 1, 1},
		{float64(0), 0, 0, 1},
		{float64(-5), 0, 0, 1},
		{-1e300, 0, 0, 1},
		{1e300, 0, 0, 1},
		{float64(1 << 60), 106751 * 24 * time.Hour, 1<<31 - 1, 1<<31 - 1}, // days, of the most that there can be
		{json.Number("1e300"), 0, 0, 1},
		{"60000", 0, 0, 1},
		{nil, 0, 0, 1},
	} {
		m := ReadMeta(map[string]any{MetaTimeout: tt.given, MetaDepth: tt.given, MetaAttempt: tt.given}, true)
		if m.Timeout > time.Hour {
			m.Timeout = m.Timeout.Truncate(24 * time.Hour)
		}
		if m.Timeout != tt.timeout || m.Depth != tt.depth || m.Attempt != tt.attempt {
			t.Errorf("%v: timeout %v, depth %d, attempt %d", tt.given, m.Timeout, m.Depth, m.Attempt)
		}
	}
}

func TestIntegersOfAPeer(t *testing.T) {
	for raw, want := range map[string]int64{
		"-9223372036854775808": math.MinInt64, "-9223372036854777856": 0,
		"9223372036854774784": 9223372036854774784, "9223372036854775808": 0, "1e3": 1000, "-2.9": -2, `"7"`: 0,
	} {
		if got, plain := scanInt([]byte(raw)); got != want || plain {
			t.Errorf("%s is %d, %v", raw, got, plain)
		}
	}
	if got, plain := scanInt([]byte("-7")); got != -7 || !plain {
		t.Errorf("-7 is %d, %v", got, plain)
	}
}

// What an error or a block does not have is not said.
func TestWhatIsNotThereIsNotSaid(t *testing.T) {
	bare := ToErrorResult(agent.Errorf(agent.CodeInternal, "x"), true)
	if len(bare.Meta) != 1 || bare.Meta[MetaCode] != "internal" {
		t.Errorf("%v", bare.Meta)
	}
	if link := toBlock(agent.Link("x://y", "y"), Version20251125).(*sdk.ResourceLink); link.Size != nil {
		t.Errorf("a link of unknown size has %d bytes", *link.Size)
	}
	sized := agent.Link("x://y", "y")
	sized.Size = 1
	if link := toBlock(sized, Version20251125).(*sdk.ResourceLink); link.Size == nil || *link.Size != 1 {
		t.Error("a link of one byte has none")
	}
	if tool := ToTool(agent.ToolInfo{Name: "a"}, "a"); tool.OutputSchema != nil {
		t.Errorf("%v", tool.OutputSchema)
	}
}

// What a foreign server's failed tool says in structure is in the details of the error.
func TestDetailsOfAForeignError(t *testing.T) {
	for raw, want := range map[string]string{
		`{"isError":true,"content":[{"type":"text","text":"no"}],"structuredContent":{"why":"rain"}}`: `{"why":"rain"}`,
		`{"isError":true,"content":[{"type":"text","text":"no"}]}`:                                    "",
	} {
		_, err := DecodeToolResult([]byte(raw), false)
		if e := agent.AsError(err); e == nil || e.Code != agent.CodeToolFailed || e.Message != "no" ||
			string(e.Details) != want {
			t.Errorf("%s: %+v", raw, e)
		}
	}
}
