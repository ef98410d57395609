package codec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
)

// What a call wants to be asked arrives at the client as it was meant, whatever it is about.
func TestQuestionsSurviveTheWay(t *testing.T) {
	p := &agent.Pending{State: "s", Requests: map[string]agent.Request{
		"a": {Kind: agent.AskElicit, Params: json.RawMessage(
			`{"later":[1.0,9007199254740993],"message":"<m>","requestedSchema":{"type":"object"}}`)},
		"b": {Kind: agent.AskRoots},
		"c": {Kind: agent.AskSample,
			Params: json.RawMessage(`{"maxTokens":5.0,"_meta":{"openmas/id":"x"},"messages":[]}`)}}}
	want := map[string]agent.Request{"a": p.Requests["a"], "b": {Kind: agent.AskRoots, Params: json.RawMessage("{}")},
		"c": {Kind: agent.AskSample, Params: json.RawMessage(`{"maxTokens":5.0,"messages":[]}`)}}
	f := RawFormat{ResultFormat{Version: Version20260728}, []byte(`{"name":"n"}`)}
	raw, err := f.Pending(p)
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() (*agent.Result, error){
		"a tool":     func() (*agent.Result, error) { return DecodeToolResult(raw, false) },
		"a prompt":   func() (*agent.Result, error) { return readPrompt(raw) },
		"a resource": func() (*agent.Result, error) { return readContents(raw) },
	} {
		res, err := read()
		if err != nil || res.Pending == nil || res.Pending.State != "s" ||
			fmt.Sprint(res.Pending.Requests) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %s", name, err, fixture.MustJSON(t, res))
		}
	}
	for kind, params := range map[string]string{"dance": "", agent.AskElicit: "{"} {
		p := &agent.Pending{Requests: map[string]agent.Request{"a": {Kind: kind, Params: json.RawMessage(params)}}}
		if raw, err := f.Pending(p); agent.CodeOf(err) != agent.CodeInternal {
			t.Errorf("%s %s: %v, %s", kind, params, err, raw)
		}
	}
	const bad = `{"resultType":"input_required","inputRequests":[]}`
	if res, err := DecodeToolResult([]byte(bad), false); agent.CodeOf(err) != agent.CodeInternal {
		t.Errorf("%s: %v, %+v", bad, err, res)
	}
	const unknown = `{"resultType":"input_required","inputRequests":{"a":{"method":"x/y"}}}`
	if res, err := DecodeToolResult([]byte(unknown), false); err != nil || res.Pending == nil ||
		res.Pending.Requests["a"].Kind != "" {
		t.Errorf("%s: %v, %+v", unknown, err, res)
	}
	// Only clients of the newest version know these words.
	for version, want := range map[string]bool{Version20251125: false, VersionUnknown: false, Version20260728: true} {
		f := ResultFormat{Version: version}
		if got := f.WantsInput(&agent.Result{Pending: p}); got != want || f.WantsInput(&agent.Result{}) {
			t.Errorf("%q: %v", version, got)
		}
	}
}

// A result that does not want input says so in the newest version, and loses nothing by it.
func TestCompleteResults(t *testing.T) {
	meta := sdk.Meta{"k": "v"}
	text := &sdk.TextContent{Text: "a"}
	for _, c := range []struct {
		got  any
		want string
	}{
		{CompleteToolResult(&sdk.CallToolResult{Meta: meta, Content: []sdk.Content{text}, IsError: true,
			StructuredContent: map[string]any{"n": 1}}), `{"_meta":{"k":"v"},"content":[{"type":"text","text":"a"}],` +
			`"structuredContent":{"n":1},"isError":true,"resultType":"complete"}`},
		{CompletePromptResult(&sdk.GetPromptResult{Meta: meta, Description: "d",
			Messages: []*sdk.PromptMessage{{Role: "user", Content: text}}}),
			`{"_meta":{"k":"v"},"description":"d","messages":[{"content":{"type":"text","text":"a"},"role":"user"}],` +
				`"resultType":"complete"}`},
		{CompleteResourceResult(&sdk.ReadResourceResult{Meta: meta, Contents: []*sdk.ResourceContents{
			{URI: "a:b", Text: "t"}}}),
			`{"_meta":{"k":"v"},"ttlMs":0,"cacheScope":"","contents":[{"uri":"a:b","text":"t"}],` +
				`"resultType":"complete"}`},
	} {
		var got, want any
		if json.Unmarshal(encoded(t, c.got), &got) != nil || json.Unmarshal([]byte(c.want), &want) != nil ||
			fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%T\n got %v\nwant %v", c.got, got, want)
		}
	}
}

// A client's answers go to the tool as they came, and so do those to a server.
func TestAnswersSurviveTheWay(t *testing.T) {
	in := map[string]json.RawMessage{
		"a": json.RawMessage(`{"action":"accept","content":{"n":"<x>","a":1.0},"z":1e400}`),
		"b": json.RawMessage(`{"roots":[{"uri":"file:///x"}]}`)}
	sent, err := WithInputs(&sdk.CallToolParams{Meta: sdk.Meta{"k": 1}, Name: "<t>", RequestState: "s",
		Arguments: json.RawMessage(`{"n":1.0}`)}, in)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"_meta":{"k":1},"name":"<t>","arguments":{"n":1.0},"requestState":"s","inputResponses":` +
		`{"a":{"action":"accept","content":{"n":"<x>","a":1.0},"z":1e400},"b":{"roots":[{"uri":"file:///x"}]}}}`
	if string(sent.JSON) != want {
		t.Errorf("\n got %s\nwant %s", sent.JSON, want)
	}
	var p sdk.CallToolParamsRaw
	if err := json.Unmarshal(CarryInputs(sent.JSON), &p); err != nil || p.Name != "<t>" || p.RequestState != "s" ||
		string(p.Arguments) != `{"n":1.0}` || p.Meta["k"] != 1.0 {
		t.Errorf("%v, %+v", err, p)
	}
	got, err := CarriedInputs(p.Meta)
	if err != nil || fmt.Sprintf("%s", got) != fmt.Sprintf("%s", in) {
		t.Errorf("%v\n got %s\nwant %s", err, got, in)
	}
	if _, err := WithInputs(&sdk.CallToolParams{}, map[string]json.RawMessage{"a": json.RawMessage("{")}); err == nil {
		t.Error("no JSON was sent")
	}
	for _, none := range []string{`{}`, `{"inputResponses":null}`, `{"inputResponses":null,"_meta":null}`, `[]`} {
		p := sdk.CallToolParamsRaw{}
		_ = json.Unmarshal(CarryInputs([]byte(none)), &p)
		if got, err := CarriedInputs(p.Meta); got != nil || err != nil {
			t.Errorf("%s: %s, %v", none, got, err)
		}
	}
	for _, bad := range []string{`[]`, `7`, `{"a":7}`, `{"a":null}`} {
		p := sdk.CallToolParamsRaw{}
		_ = json.Unmarshal(CarryInputs([]byte(`{"inputResponses":`+bad+`}`)), &p)
		if got, err := CarriedInputs(p.Meta); err == nil {
			t.Errorf("%s: %s", bad, got)
		}
	}
}

// What is carried through the SDK is decoded as anything that it may be, and is what it was.
func TestCarried(t *testing.T) {
	const raw = `{"b":1.0,"a":[9007199254740993,"<\u00e9\"\\"],"_meta":{"openmas/raw":"forged"}}`
	for _, into := range []interface{ GetMeta() map[string]any }{new(sdk.ElicitParams), new(sdk.ListRootsParams),
		new(sdk.CreateMessageWithToolsParams), new(sdk.ElicitResult), new(sdk.ListRootsResult),
		new(sdk.CreateMessageWithToolsResult)} {
		if err := json.Unmarshal(Carry([]byte(raw)), into); err != nil {
			t.Errorf("%T: %v", into, err)
		} else if got, err := Carried(into.GetMeta()); string(got) != raw || err != nil {
			t.Errorf("%T: %s, %v", into, got, err)
		}
	}
	for _, none := range []string{"", "null", "[1]", `"x"`, "7"} {
		var p sdk.ElicitParams
		var given json.RawMessage
		if none != "" {
			given = json.RawMessage(none)
		}
		err := json.Unmarshal(Carry(given), &p)
		if got, bad := Carried(p.Meta); err != nil || bad == nil ||
			errors.Is(bad, ErrNothing) != (none == "" || none == "null") {
			t.Errorf("%s: %v, %s, %v", none, err, got, bad)
		}
	}
	if got, err := Carried(nil); err == nil {
		t.Errorf("nothing was carried, and gave %s", got)
	}
}

// asked answers with what it was asked, or fails.
type asked struct {
	agent.BackChannelFuncs
	err error
}

func (a asked) Request(_ context.Context, r agent.Request) (json.RawMessage, error) {
	return r.Params, a.err
}

func TestCollectInputs(t *testing.T) {
	p := &agent.Pending{Requests: map[string]agent.Request{"a": {Params: json.RawMessage("1")},
		"b": {Params: json.RawMessage("2")}}}
	got, err := CollectInputs(t.Context(), asked{}, p)
	if err != nil || fixture.MustJSON(t, got) != `{"a":1,"b":2}` {
		t.Errorf("%v, %s", err, fixture.MustJSON(t, got))
	}
	refused := agent.Errorf(agent.CodePermissionDenied, "no")
	if _, err := CollectInputs(t.Context(), asked{err: refused}, p); !errors.Is(err, refused) ||
		err.Error() != `input "a": `+refused.Error() {
		t.Errorf("refused: %v", err)
	}
	for _, c := range []struct {
		back agent.BackChannel
		p    *agent.Pending
	}{{nil, p}, {asked{}, &agent.Pending{}}} {
		if _, err := CollectInputs(t.Context(), c.back, c.p); agent.CodeOf(err) != agent.CodeUnavailable {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Prompts, resources and completions arrive at our clients as our agents made them.
func TestOtherResultsSurviveTheWay(t *testing.T) {
	prompt := agent.PromptResult{Description: "d", Messages: []agent.Message{
		{Role: agent.RoleUser, Content: agent.Text("a")}, {Role: agent.RoleAssistant, Content: agent.Link("a:b", "n")}}}
	raw, _ := json.Marshal(prompt)
	sent, err := ToPromptResult(&agent.Result{Structured: raw}, Version20251125)
	if err != nil {
		t.Fatal(err)
	}
	res, err := readPrompt(encoded(t, sent))
	if err != nil || fixture.MustJSON(t, res.Structured) != string(raw) {
		t.Errorf("%v\n got %s\nwant %s", err, res.Structured, raw)
	}
	if _, err := ToPromptResult(&agent.Result{Structured: json.RawMessage(`[]`)}, ""); err == nil {
		t.Error("a list was taken for a prompt")
	}

	contents := []agent.Content{agent.Embed(agent.ResourceContents{URI: "a:b", MIMEType: "m", Text: "t",
		Meta: json.RawMessage(`{"k":1}`)}), agent.Embed(agent.ResourceContents{URI: "a:c", Blob: []byte{1}})}
	res, err = readContents(encoded(t, ToResourceResult(&agent.Result{
		Content: append([]agent.Content{agent.Text("no contents")}, contents...)})))
	if err != nil || fixture.MustJSON(t, res.Content) != fixture.MustJSON(t, contents) {
		t.Errorf("%v\n got %s\nwant %s", err, fixture.MustJSON(t, res.Content), fixture.MustJSON(t, contents))
	}
	if got := ToResourceResult(&agent.Result{}); got.Contents == nil {
		t.Error("no contents must be a list")
	}

	complete, err := ToCompleteResult(&agent.Result{
		Structured: json.RawMessage(`{"values":["x"],"total":3,"hasMore":true}`)})
	if d := complete.Completion; err != nil || len(d.Values) != 1 || d.Total != 3 || !d.HasMore {
		t.Errorf("%v, %+v", err, complete)
	}
	if complete, err = ToCompleteResult(&agent.Result{Structured: json.RawMessage(`{}`)}); err != nil ||
		complete.Completion.Values == nil {
		t.Errorf("no values must be a list: %v, %+v", err, complete)
	}
	if _, err = ToCompleteResult(&agent.Result{Structured: json.RawMessage(`[]`)}); err == nil {
		t.Error("a list was taken for a completion")
	}
}

// An event arrives at an agent that is hosted elsewhere as a call of a hidden tool.
func TestEventsAsCalls(t *testing.T) {
	in := &agent.Call{Op: agent.OpEvent, Name: "a.b", ID: "i", Attempt: 3, Input: json.RawMessage(`{"n":1.0}`),
		From: agent.Identity{Agent: "me"}}
	args := EventArgsOf(in)
	if args.Source != "me" {
		t.Errorf("from %q", args.Source)
	}
	var out agent.Call
	args.Fill(&out)
	if out.Op != agent.OpEvent || out.Name != "a.b" || out.ID != "i" || out.Attempt != 3 ||
		string(out.Input) != `{"n":1.0}` {
		t.Errorf("%+v", out)
	}
	if (EventArgs{Attempt: -1}).Fill(&out); out.Attempt != 1 {
		t.Errorf("attempt %d", out.Attempt)
	}
}

// What an HTTP client says of a URL may hold a secret.
func TestWithoutURL(t *testing.T) {
	why := errors.New("refused")
	for _, c := range []struct {
		in   error
		want string
	}{
		{fmt.Errorf("call: %w", &url.Error{Op: "Post", URL: "http://u:secret@x", Err: why}), "refused"},
		{io.EOF, "the connection was closed: EOF"},
		{fmt.Errorf("it is closed: %w", io.EOF), "it is closed: EOF"},
		{why, "refused"},
	} {
		if got := WithoutURL(c.in); got.Error() != c.want {
			t.Errorf("%v became %v", c.in, got)
		}
	}
}

// A message of the fast path is what the SDK would have sent.
func TestMessagesOfTheFastPath(t *testing.T) {
	call := &agent.Call{ID: "i", From: agent.Identity{Agent: "me", Trusted: true}}
	for _, c := range []struct {
		m    RequestMeta
		args string
		want string
	}{
		{RequestMeta{Call: call}, `{"a":1.0}`, `"name":"t\"","arguments":{"a":1.0}`},
		{RequestMeta{Call: call, Progress: "p"}, "{\n}", `"_meta":{"progressToken":"p"},"name":"t\"","arguments":{}`},
		{RequestMeta{Call: call, Members: []byte(`"x":1`)}, "{}", `"_meta":{"x":1},"name":"t\"","arguments":{}`},
		{RequestMeta{Call: call, Trusted: true}, "{}",
			`"_meta":{"openmas/id":"i","openmas/caller":"me"},"name":"t\"","arguments":{}`},
	} {
		got := AppendCall(context.Background(), []byte("x"), 7, `t"`, json.RawMessage(c.args), c.m)
		want := `x{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{` + c.want + `}}`
		if string(got) != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if m := (RequestMeta{Call: call, Trusted: true}).Decoded(ctx); m[MetaTimeout] != 1.0 {
		t.Errorf("a deadline that is over leaves %v ms", m[MetaTimeout])
	}
	for id, want := range map[any]string{"a\"": `"a\""`, 5.0: "5", -1.0: "-1", 1.5: "",
		float64(1 << 53): "9007199254740992",
		float64(1 << 54): "", nil: ""} {
		if got := RequestKey(id); got != want {
			t.Errorf("the id %v is written %s, want %s", id, got, want)
		}
	}
	for _, id := range []json.RawMessage{nil, json.RawMessage("7")} {
		msg, err := EncodeMessage(id, "a/b", map[string]int{"x": 1})
		want := `{"jsonrpc":"2.0","method":"a/b","params":{"x":1}}`
		if id != nil {
			want = `{"jsonrpc":"2.0","id":7,"method":"a/b","params":{"x":1}}`
		}
		if err != nil || string(msg) != want {
			t.Errorf("%v\n got %s\nwant %s", err, msg, want)
		}
	}
	if b, err := AppendJSON([]byte("x"), "<a>\n"); err != nil || string(b) != `x"<a>\n"` {
		t.Errorf("%s, %v", b, err)
	}
	if b, err := AppendJSON([]byte("x"), func() {}); err == nil {
		t.Errorf("a function became %s", b)
	}
}

// What the newest protocol says in each request is read once, and by its exact name.
func TestReservedMetadata(t *testing.T) {
	for token, want := range map[string]any{`"p"`: "p", `7`: json.Number("7"), `""`: ""} {
		if _, _, meta, _, ok := ScanCall([]byte(`{"name":"t","_meta":{"progressToken":`+token+`}}`), false); !ok ||
			meta.Progress != want {
			t.Errorf("the token %s is read as %v", token, meta.Progress)
		}
	}
	const p = "io.modelcontextprotocol/"
	for meta, want := range map[string]string{
		``:                                      "true",
		`"k":1`:                                 "true",
		`"` + p + `protocolVersion":"v"`:        "false v=\"v\"",
		`"` + p + `clientInfo":{}`:              "false i={}",
		`"` + p + `clientCapabilities":{"a":1}`: "false c={\"a\":1}",
		`"` + p + `logLevel":"info"`:            "false l=\"info\"",
		`"` + p + `logLevel":"info","` + p + `logLevel":"info"`: "not plain",
		`"` + p + `other":1`: "not plain",
	} {
		_, _, _, said, ok := ScanCall([]byte(`{"name":"t","_meta":{`+meta+`}}`), false)
		got := fmt.Sprint(said.Empty())
		for k, v := range map[string][]byte{"v": said.Version, "i": said.Info, "c": said.Capabilities,
			"l": said.LogLevel} {
			if v != nil {
				got += " " + k + "=" + string(v)
			}
		}
		if !ok {
			got = "not plain"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", meta, got, want)
		}
	}
}
