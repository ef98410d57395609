package codec

import (
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
)

const self = `{"name":"me"}`

func rawFormat(version string) RawFormat {
	return RawFormat{ResultFormat{Version: version}, []byte(self)}
}

// What a foreign server answered goes to clients of each version as it came, but for what the
// version lacks and what a server says for itself.
func TestRawResults(t *testing.T) {
	const said = `"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":` + self + `}`
	tool, prompt, resource := RawFormat.ToolResult, RawFormat.PromptResult, RawFormat.ResourceResult
	complete := RawFormat.CompleteResult
	const audio = `{"type":"audio","data":"AQEB","mimeType":"audio/wav"}`
	const audioText = `{"type":"text",` +
		`"text":"[audio, audio/wav, 3 bytes: the client's protocol version cannot carry it]"}`
	const link = `{"type":"resource_link","uri":"a://b","name":"n","x":1}`
	const text = `{"type":"text","text":"a","n":9007199254740993}`
	for _, c := range []struct {
		f           func(RawFormat, json.RawMessage) (json.RawMessage, error)
		version     string
		in          string
		want        string // empty: as it came
		whatItTests string
	}{
		{tool, VersionUnknown, `{ "content": [` + text + `] }`, "", "nothing to change: white space stays"},
		{tool, Version20250618, `{ "x": 1, "content": [ ] }`, "", "of that version too, and with members that are unknown"},
		{tool, Version20250618, `{"content":[` + link + `],"_meta":{}}`, "", "links beside metadata"},
		{tool, Version20251125, `{"x":1,"content":[` + audio + `,` + link + `]}`, "", "blocks that the version has"},
		{tool, Version20250618, `{"content":[` + link + `]}`, "", "links, since 2025-06-18"},
		{tool, Version20250326, `{"content":[` + link + `,` + audio + `]}`,
			`{"content":[{"type":"text","text":"n a://b"},` + audio + `]}`, "links, before"},
		{tool, Version20241105, `{"content":[7,` + text + `,` + audio + `,` + link + `]}`,
			`{"content":[7,` + text + `,` + audioText + `,{"type":"text","text":"n a://b"}]}`,
			"audio, before 2025-03-26"},
		{tool, Version20241105, `{"content":7}`, "", "content that is no list"},
		{tool, Version20251125, `{"content":[],"structuredContent":{"a":1}}`, "", "a structured object"},
		{tool, Version20251125, `{"content":[],"structuredContent":[1]}`, `{"content":[{"type":"text","text":"[1]"}]}`,
			"another structured value"},
		{tool, VersionUnknown, `{"content":[],"structuredContent":[1]}`, `{"content":[{"type":"text","text":"[1]"}]}`,
			"of an unknown version too"},
		{tool, Version20251125, `{"structuredContent":[1.0]}`, `{"content":[{"type":"text","text":"[1.0]"}]}`,
			"no content, but a value"},
		{tool, Version20251125, `{"x":{}}`, `{"x":{},"content":[]}`, "no content"},
		{tool, Version20251125, `{"content":[],"resultType":"complete"}`, `{"content":[]}`, "a type of results"},
		{tool, Version20251125, `{"content":[],"_meta":{"k":1.0}}`, "", "metadata"},
		{tool, Version20251125, `{"content":[],"_meta":7}`, `{"content":[]}`, "metadata that is none"},
		{tool, Version20251125,
			`{"content":[],"_meta":{"openmas/code":"x","k":1,"io.modelcontextprotocol/serverInfo":{"name":"other"}}}`,
			`{"content":[],"_meta":{"k":1}}`, "what is the server's to say"},
		{tool, Version20251125, `{"content":[],"_meta":{"openmas/code":"x"}}`, `{"content":[]}`, "and nothing else"},
		{tool, Version20260728, "{\"content\":[]}\n", `{"content":[],` + said + `}`, "the newest version"},
		{tool, Version20260728, `{"content":[],"structuredContent":[1]}`,
			`{"content":[],"structuredContent":[1],` + said + `}`, "with any structured value"},
		{tool, Version20260728, `{"content":[],"resultType":"task","_meta":{"k":1}}`,
			`{"content":[],"resultType":"complete","_meta":{"k":1,"io.modelcontextprotocol/serverInfo":` + self + `}}`,
			"with a type and metadata of its own"},

		{prompt, Version20251125, `{"messages":[ { "role": "user", "content": ` + link + ` } ]}`, "", "a prompt"},
		{prompt, Version20241105, `{"messages":[7,{"content":5},{"content":` + text + `},{"content":` + link +
			`,"x":1}]}`,
			`{"messages":[7,{"content":5},{"content":` + text +
				`},{"content":{"type":"text","text":"n a://b"},"x":1}]}`,
			"a prompt with a link"},
		{prompt, Version20260728, `{"messages":[]}`, `{"messages":[],` + said + `}`, "a prompt, newest"},
		{resource, Version20251125, `{"contents":[],"ttlMs":5,"cacheScope":"public"}`, `{"contents":[]}`, "a resource"},
		{resource, Version20260728, `{"contents":[],"ttlMs":5}`,
			`{"contents":[],"ttlMs":0,` + said + `,"cacheScope":"private"}`, "a resource, newest"},
		{complete, Version20251125, `{"completion":{"values":[],"x":1}}`, "", "a completion"},
		{complete, Version20260728, `{"completion":{}}`, `{"completion":{},` + said + `}`, "a completion, newest"},
	} {
		got, err := c.f(rawFormat(c.version), json.RawMessage(c.in))
		if c.want == "" {
			c.want = c.in
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%s, %q: %s: %v\n got %s\nwant %s", c.whatItTests, c.version, c.in, err, got, c.want)
		}
	}
	for _, f := range []func(RawFormat, json.RawMessage) (json.RawMessage, error){tool, prompt, resource, complete} {
		if out, err := f(rawFormat(Version20251125), json.RawMessage(`[]`)); agent.CodeOf(err) != agent.CodeInternal {
			t.Errorf("a list became %s, %v", out, err)
		}
	}
	// Our own clients read every block, whatever version they speak.
	ours := RawFormat{ResultFormat{Version20241105, true}, nil}
	if got, err := ours.ToolResult([]byte(`{"content":[` + link + `]}`)); err != nil ||
		string(got) != `{"content":[`+link+`]}` {
		t.Errorf("a link for our own: %v, %s", err, got)
	}
}

// An error of a foreign server's tool goes on as that server said it. What is known of it besides
// is for our own clients, its code for all.
func TestRawErrors(t *testing.T) {
	const raw = `{"isError":true,"content":[{"type":"text","text":"no","x":1}]}`
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, c := range []struct {
		e       agent.Error
		trusted bool
		want    string
	}{
		{agent.Error{Code: agent.CodeToolFailed, Logged: true, Details: json.RawMessage("{}")}, false, raw},
		{agent.Error{Code: agent.CodeToolFailed, Raw: json.RawMessage(`{"content":[]}`)}, false,
			`{"content":[],"isError":true}`},
		{agent.Error{Code: agent.CodeToolFailed, RetryAfter: 2e9}, false, raw[:len(raw)-1] +
			`,"_meta":{"openmas/code":"tool_failed","openmas/retry-after":2000}}`},
		{agent.Error{Code: agent.CodeUnavailable, NotExecuted: true}, false, raw[:len(raw)-1] +
			`,"_meta":{"openmas/code":"unavailable","openmas/not-executed":true}}`},
		{agent.Error{Code: agent.CodeToolFailed, Logged: true, Details: json.RawMessage("[1.0]")}, true,
			raw[:len(raw)-1] +
				`,"_meta":{"openmas/code":"tool_failed","openmas/details":[1.0],"openmas/logged":true}}`},
		{agent.Error{Code: agent.CodeInternal, Raw: json.RawMessage(`{"isError":false,"content":[],"_meta":{"k":1}}`)},
			false,
			`{"isError":true,"content":[],"_meta":{"k":1,"openmas/code":"internal"}}`},
		{agent.Error{Code: agent.CodeToolFailed, Trace: trace}, false,
			raw[:len(raw)-1] + `,"_meta":{"traceparent":"` + trace + `"}}`},
		{agent.Error{Code: agent.CodeToolFailed, Trace: trace,
			Raw: json.RawMessage(`{"isError":true,"content":[],"_meta":{"traceparent":"its own"}}`)}, false,
			`{"isError":true,"content":[],"_meta":{"traceparent":"its own"}}`},
	} {
		if c.e.Raw == nil {
			c.e.Raw = json.RawMessage(raw)
		}
		f := rawFormat(Version20251125)
		f.Trusted = c.trusted
		if got, err := f.ErrorResult(&c.e); err != nil || string(got) != c.want {
			t.Errorf("%+v, trusted %v: %v\n got %s\nwant %s", c.e, c.trusted, err, got, c.want)
		}
	}
	if _, err := rawFormat("").ErrorResult(
		&agent.Error{Raw: json.RawMessage("7")}); agent.CodeOf(err) != agent.CodeInternal {
		t.Errorf("a number for a result: %v", err)
	}
}

// The URIs of a result are changed where they stand, and nothing else is.
func TestURIsOfResults(t *testing.T) {
	for _, c := range []struct {
		op       agent.Op
		in, want string // of want, an empty one is as it came
	}{
		{agent.OpTool, `{ "content": [ {"type":"text","text":"old:a"}, 7 ] }`, ""},
		{agent.OpTool, `{"content":[{"type":"resource_link","uri":"old:a","x":1},` +
			`{"type":"resource_link","uri":"b:c"}]}`,
			`{"content":[{"type":"resource_link","uri":"new:a","x":1},{"type":"resource_link","uri":"b:c"}]}`},
		{agent.OpTool, `{"content":[{"type":"resource","resource":{"uri":"old:a","text":"old:a"}},` +
			`{"type":"resource","resource":7},{"type":"resource","uri":"old:x"}]}`,
			`{"content":[{"type":"resource","resource":{"uri":"new:a","text":"old:a"}},` +
				`{"type":"resource","resource":7},{"type":"resource","uri":"old:x"}]}`},
		{agent.OpTool, `{"_meta":{"ui":{"resourceUri":"old:a"},"ui/resourceUri":"old:b",` +
			`"openai/outputTemplate":"c:d","x":"old:e"}}`,
			`{"_meta":{"ui":{"resourceUri":"new:a"},"ui/resourceUri":"new:b",` +
				`"openai/outputTemplate":"c:d","x":"old:e"}}`},
		{agent.OpTool, `{"_meta":{"ui":{"resourceUri":7}}}`, ""},
		{agent.OpPrompt, `{"messages":[{"content":{"type":"resource_link","uri":"old:a"},"x":1},` +
			`{"content":7},{"content":{"uri":"b:c"}}]}`,
			`{"messages":[{"content":{"type":"resource_link","uri":"new:a"},"x":1},` +
				`{"content":7},{"content":{"uri":"b:c"}}]}`},
		{agent.OpResource, `{"contents":[{"uri":"old:a","text":"t"},{"text":"t"}],` +
			`"_meta":{"ui":{"resourceUri":"old:a"}}}`,
			`{"contents":[{"uri":"new:a","text":"t"},{"text":"t"}],"_meta":{"ui":{"resourceUri":"old:a"}}}`},
		{agent.OpComplete, `{"content":[{"uri":"old:a"}],"contents":[{"uri":"old:a"}]}`, ""},
		{agent.OpTool, `[]`, ""},
	} {
		got := MapURIs(json.RawMessage(c.in), c.op, func(uri string) string {
			return strings.Replace(uri, "old:", "new:", 1)
		})
		if c.want == "" {
			c.want = c.in
		}
		if string(got) != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", c.op, c.in, got, c.want)
		}
	}
}

// A notification of a foreign server goes to a client as it came, but for the client's own token
// and what only our servers may say.
func TestNoticesOfForeignServers(t *testing.T) {
	for _, c := range []struct {
		raw   string
		token any
		meta  sdk.Meta
		want  string // empty: as it came
	}{
		{raw: `{ "level": "info", "data": 1.0 }`},
		{raw: `{"data":1.0,"_meta":{"k":1.0}}`},
		{raw: `{"progressToken":"om-1","progress":1.0,"x":1}`, token: 7,
			want: `{"progressToken":7,"progress":1.0,"x":1}`},
		{raw: `{"data":1}`, meta: sdk.Meta{MetaID: "i"}, want: `{"data":1,"_meta":{"openmas/id":"i"}}`},
		{raw: `{"data":1,"_meta":{"k":1.0,"openmas/id":"forged"}}`, want: `{"data":1,"_meta":{"k":1.0}}`},
		{raw: `{"data":1,"_meta":{"openmas/id":"forged"}}`, want: `{"data":1}`},
		{raw: `{"data":1,"_meta":7}`, meta: sdk.Meta{"b": 1, "a": 2}, want: `{"data":1,"_meta":{"a":2,"b":1}}`},
	} {
		if c.want == "" {
			c.want = c.raw
		}
		if got := ParamsFor(json.RawMessage(c.raw), c.token, c.meta); string(got) != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.raw, got, c.want)
		}
	}
	for _, none := range []string{``, `[]`} {
		if got := ParamsFor(json.RawMessage(none), nil, nil); got != nil {
			t.Errorf("%q became %s", none, got)
		}
	}
	if got := ParamsFor(json.RawMessage(`{}`), func() {}, nil); got != nil {
		t.Errorf("a token that does not encode: %s", got)
	}
}
