package codec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
)

// A definition that no client could read is refused with the reason; what is harmless, or has one
// meaning, is kept.
func TestDefinitionsThatAreLeftOut(t *testing.T) {
	tool := func(more string) string { return `{"name":"bad","inputSchema":{"type":"object"}` + more + `}` }
	for raw, want := range map[string]string{
		tool(`,"description":5`):                         "its description is a number",
		tool(`,"description":["a"]`):                     "its description is a list",
		tool(`,"title":3`):                               "its title is a number",
		tool(`,"annotations":[]`):                        "its annotations is a list",
		tool(`,"annotations":{"readOnlyHint":"true"}`):   "its readOnlyHint is a string",
		tool(`,"icons":{"src":"x"}`):                     "its icons is an object",
		tool(`,"icons":["https://x/y.png"]`):             "one is a string",
		tool(`,"icons":[{"mimeType":"image/png"}]`):      "it has no src",
		tool(`,"_meta":[]`):                              "its _meta is a list",
		tool(`,"execution":"no"`):                        "its execution is a string",
		tool(`,"execution":{"taskSupport":"required"}`):  "tasks are not supported",
		`{"name":null,"inputSchema":{}}`:                 "it has no name",
		`{"name":7,"inputSchema":{}}`:                    "its name is a number",
		`{"name":"","inputSchema":{}}`:                   "its name is empty",
		`{"Name":"bad","InputSchema":{"type":"object"}}`: "it has no name",
		`{"name":"bad","inputSchema":"{}"}`:              "its inputSchema is a string",
		`{"name":"bad","inputSchema":[1]}`:               "its inputSchema is a list",
		`null`:                                           "it is null",
		`"tool"`:                                         "it is a string",
		tool(``):                                         "",
		tool(`,"description":null,"annotations":null`):   "",
		tool(`,"annotations":{"readOnlyHint":null}`):     "",
		tool(`,"execution":{"taskSupport":"optional"}`):  "",
		tool(`,"outputSchema":"x","unknown":[{}]`):       "",
		`{"name":"bad"}`:                                 "",
		`{"name":"bad","inputSchema":null}`:              "",
		`{"name":"bad","inputSchema":[ ]}`:               "",
		`{"name":"bad","inputSchema":true}`:              "",
	} {
		info, err := ReadTool([]byte(raw), nil)
		if err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
		if err == nil && (info.Name != "bad" || schemaType(info.InputSchema) != "object" || len(info.Raw) == 0) {
			t.Errorf("%s: %+v", raw, info)
		}
	}
	for raw, want := range map[string]string{
		`{"name":"p","arguments":{"x":{}}}`:                    "its arguments is an object",
		`{"name":"p","arguments":[{"title":"x"}]}`:             "it has no name",
		`{"name":"p","arguments":[{"name":1}]}`:                "its name is a number",
		`{"name":"p","arguments":[{"name":"a","required":1}]}`: "its required is a number",
		`{"name":"p","arguments":null}`:                        "",
		`{"name":"","arguments":[]}`:                           "its name is empty",
	} {
		if _, err := ReadPrompt([]byte(raw), nil); err == nil != (want == "") ||
			err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
	for raw, want := range map[string]string{
		`{"name":"n"}`:                                      "it has no uri",
		`{"uri":"not a uri","name":"n"}`:                    "its uri is no URI",
		`{"uri":"x://y","name":"n","size":"12 KB"}`:         "its size is a string",
		`{"uri":"x://y","name":"n","size":1.5}`:             "its size is a number",
		`{"uri":"x://y","annotations":{"audience":"user"}}`: "its audience is a string",
		`{"uri":"x://y","annotations":{"audience":[1]}}`:    "one is a number",
		`{"uri":"file:///a b","size":12.0}`:                 "",
	} {
		info, err := ReadResource([]byte(raw), nil)
		if err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
		if err == nil && info.Name == "" {
			t.Errorf("%s has no name", raw)
		}
	}
	for raw, want := range map[string]string{
		`{"uriTemplate":"x://{y}","name":5}`: "its name is a number",
		`{"uriTemplate":"","name":"n"}`:      "its uriTemplate is empty",
		`{"name":"n"}`:                       "it has no uriTemplate",
		`{"uriTemplate":"x://{y}"}`:          "",
	} {
		info, err := ReadTemplate([]byte(raw), nil)
		if err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
		if err == nil && info.Name != info.Template {
			t.Errorf("%s has the name %q", raw, info.Name)
		}
	}
}

// What a server says of a thing stays as it came: order, digits, what our types do not know. Only
// what is ours to say is taken out.
func TestDefinitionsStayAsTheyCame(t *testing.T) {
	const plain = `{"z":1,"name":"map","_meta":{"ui":{"resourceUri":"ui://x"},"big":12345678901234567890},` +
		`"icons":[{"src":"data:,","sizes":["48x48"]}],"execution":{"taskSupport":"optional"},` +
		`"inputSchema":{"type":"object","properties":{"b":{"const":9007199254740993},"a":{"minimum":1.0}}},` +
		`"annotations":{"title":"Old","readOnlyHint":true,"x-vendor":1}}`
	info, err := ReadTool([]byte(plain), nil)
	if err != nil || string(info.Raw) != plain || !info.Annotations.ReadOnly {
		t.Errorf("%v\n got %s\nwant %s", err, info.Raw, plain)
	}
	if b, err := json.Marshal(info); err != nil || string(b) != plain {
		t.Errorf("%v\n got %s\nwant %s", err, b, plain)
	}
	const texts = `{"name":"n","title":"T","description":"d","mimeType":"m","x":1, "uri":"a:b","uriTemplate":"a:{b}"}`
	want := strings.Replace(texts, ", ", ",", 1)
	if info, err = ReadTool([]byte(texts), nil); err != nil || info.Title != "T" || info.Description != "d" {
		t.Errorf("a tool: %v, %+v", err, info)
	}
	if p, err := ReadPrompt([]byte(texts), nil); err != nil || p.Title != "T" || p.Description != "d" ||
		string(p.Raw) != want {
		t.Errorf("a prompt: %v, %+v", err, p)
	}
	for _, read := range []func(json.RawMessage, func(string)) (agent.ResourceInfo, error){ReadResource, ReadTemplate} {
		if r, err := read([]byte(texts), nil); err != nil || r.Name != "n" || r.Title != "T" || r.Description != "d" ||
			r.MIMEType != "m" || string(r.Raw) != want {
			t.Errorf("a resource: %v, %+v", err, r)
		}
	}
	for schema, want := range map[string]string{
		`{"type":"object","const":9007199254740993}`: `{"type":"object","const":9007199254740993}`,
		`"x"`: "", `null`: "",
	} {
		info, err := ReadTool([]byte(`{"name":"a","inputSchema":{},"outputSchema":`+schema+`}`), nil)
		if err != nil || string(info.OutputSchema) != want {
			t.Errorf("the output schema %s: %v, %s", schema, err, info.OutputSchema)
		}
	}
	for raw, want := range map[string]string{
		"{\n \"name\": \"a\",\n \"inputSchema\": { }\n}":                 `{"name":"a","inputSchema":{}}`,
		`{"name":"a","description":null,"inputSchema":{}}`:               `{"name":"a","inputSchema":{}}`,
		`{"name":"x","name":"a","inputSchema":{}}`:                       `{"name":"a","inputSchema":{}}`,
		`{"name":"a\ud800","title":"\ud83d\ude00"}`:                      `{"name":"a\ufffd","title":"\ud83d\ude00"}`,
		"{\"name\":\"a\xff\",\"inputSchema\":{}}":                        "{\"name\":\"a\uFFFD\",\"inputSchema\":{}}",
		`{"name":"a","inputSchema":{},"_meta":{"openmas/code":1,"k":2}}`: `{"name":"a","inputSchema":{},"_meta":{"k":2}}`,
		`{"name":"a","inputSchema":{},"_meta":{"openmas\u002fcode":1}}`:  `{"name":"a","inputSchema":{},"_meta":{}}`,
	} {
		if info, err := ReadTool([]byte(raw), nil); err != nil || string(info.Raw) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", raw, err, info.Raw, want)
		}
	}
}

// A result is what it says, whatever else is in it, and is passed on as it came.
func TestResultsOfForeignServers(t *testing.T) {
	same := func(s string) [3]string { return [3]string{s, s, ""} }
	for name, tt := range map[string]struct {
		raw  [3]string // what came, Raw, the text
		want string    // the structured value
	}{
		"text": {raw: [3]string{`{"content":[{"type":"text","text":"a"}]}`,
			`{"content":[{"type":"text","text":"a"}]}`, "a"}},
		"big integer": {raw: [3]string{`{"content":[],"structuredContent":{"n":9007199254740993}}`,
			`{"content":[],"structuredContent":{"n":9007199254740993}}`, `{"n":9007199254740993}`},
			want: `{"n":9007199254740993}`},
		"beside an image": {raw: [3]string{`{"content":[{"type":"image","data":"AQ==","mimeType":"x"}],"structuredContent":{"n":9007199254740993},"x":[1]}`,
			`{"content":[{"type":"image","data":"AQ==","mimeType":"x"}],"structuredContent":{"n":9007199254740993},"x":[1]}`, `{"n":9007199254740993}`}, want: `{"n":9007199254740993}`},
		"annotations": {raw: same(`{"content":[{"type":"resource_link","uri":"ui://x","name":"v","icons":[{"src":"x"}],"size":0,"annotations":{"priority":1.0}}],"_meta":{"big":9007199254740993}}`)},
		"unknown":     {raw: same(`{"content":[{"type":"video","src":{"n":12345678901234567890}}]}`)},
		"no list": {raw: [3]string{`{"content":{"type":"text","text":"a"}}`,
			`{"content":[{"type":"text","text":"a"}]}`, "a"}},
		"spaces":      {raw: same("{ \"content\": [ ], \"_meta\": { \"k\": 1.0 } }")},
		"no metadata": {raw: [3]string{`{"content":[],"_meta":7}`, `{"content":[]}`, ""}},
		"null": {raw: [3]string{`{"content":null,"structuredContent":null,"isError":null}`, `{"content":[]}`,
			""}},
		"nothing": {raw: [3]string{`{}`, `{"content":[]}`, ""}},
		"bad block": {raw: [3]string{`{"content":[{"type":"text","text":"a"},{"type":"text","text":5},7]}`,
			`{"content":[{"type":"text","text":"a"},{"type":"text","text":"{\"type\":\"text\",\"text\":5}"},{"type":"text","text":"7"}]}`,
			"a\n{\"type\":\"text\",\"text\":5}\n7"}},
		"a text beside no list": {raw: [3]string{`{"content":"hello"}`, `{"content":[{"type":"text","text":"hello"}]}`,
			"hello"}},
		"no type": {raw: [3]string{`{"content":[{"text":"a"}]}`,
			`{"content":[{"type":"text","text":"{\"text\":\"a\"}"}]}`, `{"text":"a"}`}},
		"no contents": {raw: [3]string{`{"content":[{"type":"resource","resource":{"uri":"x:y"}}]}`,
			`{"content":[{"type":"resource","resource":{"uri":"x:y","text":""}}]}`, ""}},
		"members of members": {raw: [3]string{`{"content":[{"type":"resource_link","uri":"x:y","name":"n",` +
			`"icons":[{"src":"a","mimeType":5,"theme":"dark"}],"annotations":{"priority":"high","audience":["user"]}}]}`,
			`{"content":[{"type":"resource_link","uri":"x:y","name":"n",` +
				`"icons":[{"src":"a","theme":"dark"}],"annotations":{"audience":["user"]}}]}`, ""}},
		"bad UTF-8": {raw: [3]string{"{\"content\":[{\"type\":\"text\",\"text\":\"a\xff\"}]}",
			"{\"content\":[{\"type\":\"text\",\"text\":\"a\uFFFD\"}]}", "a\uFFFD"}},
		"lines": {raw: [3]string{"{\n\"content\": [ ],\r\n\"x\": 1 }", `{"content":[],"x":1}`, ""}},
		"no links": {raw: [3]string{`{"content":[{"type":"resource_link","uri":"x:y","name":"n","icons":{}}]}`,
			`{"content":[{"type":"resource_link","uri":"x:y","name":"n"}]}`, ""}},
		"bad annotations": {raw: [3]string{`{"content":[{"type":"text","text":"a","annotations":7,"_meta":null}]}`,
			`{"content":[{"type":"text","text":"a"}]}`, "a"}},
		"base64 of URLs": {raw: [3]string{`{"content":[{"type":"image","data":"_-8","mimeType":"x"}]}`,
			`{"content":[{"type":"image","data":"/+8=","mimeType":"x"}]}`, ""}},
		"a data URL": {raw: [3]string{`{"content":[{"type":"audio","data":"data:x;base64,AQ==","mimeType":"x"}]}`,
			`{"content":[{"type":"audio","data":"AQ==","mimeType":"x"}]}`, ""}},
		"no base64": {raw: [3]string{`{"content":[{"type":"image","data":"?","mimeType":"x"}]}`,
			`{"content":[{"type":"text","text":"{\"type\":\"image\",\"data\":\"?\",\"mimeType\":\"x\"}"}]}`,
			`{"type":"image","data":"?","mimeType":"x"}`}},
		"a blob": {raw: [3]string{`{"content":[{"type":"resource","resource":{"uri":"x:y","blob":"_w"}}]}`,
			`{"content":[{"type":"resource","resource":{"uri":"x:y","blob":"/w=="}}]}`, ""}},
		"forged": {raw: [3]string{`{"content":[{"type":"text","text":"5"}],"_meta":{"openmas/generated":true,"openmas/structured":"1","k":1}}`, `{"content":[{"type":"text","text":"5"}],"_meta":{"k":1}}`, "5"}},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := DecodeToolResult([]byte(tt.raw[0]), false)
			if err != nil || string(res.Raw) != tt.raw[1] || res.Text() != tt.raw[2] ||
				string(res.Structured) != tt.want {
				t.Errorf("%v\n got %s, %q, %s\nwant %s, %q, %s", err, res.Raw, res.Text(), res.Structured, tt.raw[1],
					tt.raw[2], tt.want)
			}
		})
	}
	for _, bad := range []string{`[]`, `7`, `{"content":5}`} {
		if res, err := DecodeToolResult([]byte(bad), false); agent.CodeOf(err) != agent.CodeInternal {
			t.Errorf("%s: %+v, %v", bad, res, err)
		}
	}
	for details, want := range map[string]string{`null`: "", `{ "a": 1.0 }`: `{"a":1.0}`} {
		_, err := DecodeToolResult([]byte(`{"isError":true,"content":[],"structuredContent":`+details+`}`), false)
		if got := string(agent.AsError(err).Details); got != want {
			t.Errorf("the details %s became %s", details, got)
		}
	}
	// What our own servers say of an error is all that there is, if it says it in one text.
	for content, kept := range map[string]bool{`[{"type":"text","text":"internal: x"}]`: false, `[]`: true,
		`[{"type":"text","text":"a"},{"type":"text","text":"b"}]`: true, `[{"type":"text","text":"a","x":1}]`: true} {
		raw := []byte(`{"isError":true,"content":` + content + `,"_meta":{"openmas/code":"internal"}}`)
		for _, trusted := range []bool{true, false} {
			_, err := DecodeToolResult(raw, trusted)
			if got := agent.AsError(err).Raw != nil; got != (kept || !trusted) {
				t.Errorf("%s, trusted %v: the raw result is kept: %v", raw, trusted, got)
			}
		}
	}
	const lost = `{"content":[],"_meta":{"openmas/pending":7}}`
	if res, err := DecodeToolResult([]byte(lost), true); agent.CodeOf(err) != agent.CodeInternal {
		t.Errorf("%s: %+v, %v", lost, res, err)
	}
	failed := `{"isError":true,"content":[{"type":"text","text":"no"},{"type":"image","data":"AQ==","mimeType":"x"}],"structuredContent":{"n":9007199254740993}}`
	_, err := DecodeToolResult([]byte(failed), false)
	if e := agent.AsError(err); e.Code != agent.CodeToolFailed || e.Message != "no" || string(e.Raw) != failed ||
		string(e.Details) != `{"n":9007199254740993}` {
		t.Errorf("an error: %+v, raw %s", e, e.Raw)
	}
	_, err = DecodeToolResult(
		[]byte(`{"isError":"true","content":[],"_meta":{"openmas/not-executed":true,"openmas/code":"internal"}}`),
		false)
	if e := agent.AsError(err); e.NotExecuted || string(e.Raw) != `{"isError":true,"content":[],"_meta":{}}` {
		t.Errorf("an error that forges ours: %+v, raw %s", e, e.Raw)
	}
}

// Prompts, resources and completions are read like results of tools.
func TestOtherResultsOfForeignServers(t *testing.T) {
	const prompt = `{"messages":[{"role":"user","content":{"type":"text","text":"a","x":1},"y":2}],"description":"d","n":9007199254740993}`
	res, err := readPrompt([]byte(prompt))
	if err != nil || string(res.Raw) != prompt {
		t.Fatalf("%v, %+v", err, res)
	}
	if p, err := res.Prompt(); err != nil || p.Description != "d" || p.Messages[0].Content.Text != "a" {
		t.Errorf("%v, %+v", err, p)
	}
	res, err = readPrompt(
		[]byte(`{"messages":[{"role":7,"content":"a"},{"role":"user","content":{"type":"text","text":"b"}}]}`))
	if err != nil || string(
		res.Raw) != `{"messages":[{"role":"user","content":{"type":"text","text":"a"}},{"role":"user","content":{"type":"text","text":"b"}}]}` {
		t.Errorf("%v, %s", err, res.Raw)
	}
	const tool = `{"messages":[{"role":"tool","content":{"type":"text","text":"a"}}]}`
	res, err = readPrompt([]byte(tool))
	if p, bad := res.Prompt(); err != nil || bad != nil || p.Messages[0].Role != agent.RoleUser ||
		string(res.Raw) != strings.Replace(tool, `"tool"`, `"user"`, 1) {
		t.Errorf("another role: %v, %v, %s", err, bad, res.Raw)
	}
	const many = `{"completion":{"values":["a"],"total":98765432109876543210,"hasMore":true}}`
	res, err = ReadCompleteResult([]byte(many))
	if err != nil || string(res.Raw) != many ||
		string(res.Structured) != `{"values":["a"],"total":2147483647,"hasMore":true}` {
		t.Errorf("a large total: %v, %s, %s", err, res.Raw, res.Structured)
	}
	for raw, want := range map[string]string{
		`{}`:                             `{"messages":[]}`,
		`{"messages":null}`:              `{"messages":[]}`,
		`{"messages":[{"role":"user"}]}`: `{"messages":[{"role":"user","content":{"type":"text","text":""}}]}`,
		`{ "messages": [ { "role": "user", "content": { "type": "text", "text": "a" } } ] }`: "",
	} {
		if want == "" {
			want = raw
		}
		if res, err := readPrompt([]byte(raw)); err != nil || string(res.Raw) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", raw, err, res.Raw, want)
		}
	}
	const resource = `{"contents":[{"uri":"ui://x","mimeType":"text/html","text":"<html>","_meta":{"ui":{"n":1.0}}}],"ttlMs":5}`
	if res, err = readContents([]byte(resource)); err != nil || string(res.Raw) != resource ||
		res.Content[0].Resource.Text != "<html>" {
		t.Errorf("%v, %+v", err, res)
	}
	for _, read := range []func(json.RawMessage) (*agent.Result, error){readPrompt, readContents,
		ReadCompleteResult} {
		res, err := read([]byte("{\"messages\":[],\"contents\":[],\"completion\":{},\"x\":\"\xff\"}"))
		if err != nil || !strings.HasSuffix(string(res.Raw), `"x":"`+"\uFFFD\"}") {
			t.Errorf("%v, %s", err, res.Raw)
		}
	}
	const complete = `{"completion":{"values":["a"],"total":1,"x":2}}`
	if res, err = ReadCompleteResult([]byte(complete)); err != nil || string(res.Raw) != complete {
		t.Errorf("%v, %+v", err, res)
	}
	for raw, read := range map[string]func(json.RawMessage) (*agent.Result, error){
		`{"messages":7}`: readPrompt, `{"messages":[7]}`: readPrompt, `[]`: readPrompt,
		`{"contents":[null]}`: readContents, `{"contents":{}}`: readContents,
		`{"completion":[]}`: ReadCompleteResult, `7`: ReadCompleteResult,
	} {
		if _, err := read([]byte(raw)); agent.CodeOf(err) != agent.CodeInternal {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// Texts that are not quite texts are read all the same.
func TestTextsThatAreNotUTF8(t *testing.T) {
	o, err := ReadObject([]byte("{\"a\":\"x\xff\",\"b\":5,\"c\":\"\"}"))
	if err != nil || o.text("a") != "x\uFFFD" || o.text("b") != "" || o.text("c") != "" || o.text("d") != "" {
		t.Errorf("%v: %q, %q, %q, %q", err, o.text("a"), o.text("b"), o.text("c"), o.text("d"))
	}
	for in, want := range map[string]string{
		`"\ud83d\ude00"`:        `"\ud83d\ude00"`,
		`"\ud800\udc00"`:        `"\ud800\udc00"`,
		`"\ud999\udd99"`:        `"\ud999\udd99"`,
		`"\n\ud800"`:            `"\n\ufffd"`,
		`"\ud83d \ud83d\ud83d"`: `"\ufffd \ufffd\ufffd"`,
		`"\ude00\\ud800"`:       `"\ufffd\\ud800"`,
		// What is cut off is no JSON, and whoever decodes it says so.
		`"\ud800`:  `"\ufffd`,
		`"\ud80`:   `"\ud80`,
		`"\ud800\`: `"\ufffd\`,
	} {
		raw := []byte(in)
		if got := string(Readable(raw[:len(raw):len(raw)])); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
