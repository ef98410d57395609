package codec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
)

// overTheWire decodes a result as a client of the SDK does.
func overTheWire(t *testing.T, res *sdk.CallToolResult) *sdk.CallToolResult {
	t.Helper()
	var out sdk.CallToolResult
	if err := json.Unmarshal(encoded(t, res), &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestToolResultsSurviveTheWay(t *testing.T) {
	link := agent.Link("file:///x", "x")
	link.Size, link.Title = 7, "X"
	note := agent.Text("hi")
	note.Annotations, note.Meta = json.RawMessage(`{"priority":0.5}`), json.RawMessage(`{"a":1}`)
	for name, in := range map[string]*agent.Result{
		"empty":  {},
		"object": {Structured: json.RawMessage(`{"n":9007199254740993}`)},
		"number": {Structured: json.RawMessage(`9007199254740993`)},
		"null":   {Structured: json.RawMessage(`null`)},
		"string": {Structured: json.RawMessage(`"x"`)},
		"text":   agent.TextResult("hello"),
		"object and text": {Structured: json.RawMessage(`{"a":12345678901234567890}`),
			Content: []agent.Content{agent.Text("one")}},
		"list and text": {Structured: json.RawMessage(`[1,2]`), Content: []agent.Content{agent.Text("two")}},
		"every sort of block": {Content: []agent.Content{note, agent.Image([]byte{1}, "image/png"),
			agent.Audio([]byte{2}, "audio/wav"), link, agent.Embed(agent.ResourceContents{URI: "a://b", Text: "t"}),
			agent.Embed(agent.ResourceContents{URI: "a://c", Blob: []byte{3}})}},
		"metadata": {Content: []agent.Content{agent.Text("x")},
			Meta: map[string]json.RawMessage{"k": json.RawMessage(`[1]`)}},
		"a question": {Pending: &agent.Pending{State: "s", Requests: map[string]agent.Request{
			"a": {Kind: agent.AskRoots, Params: json.RawMessage(`{}`)}}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, ours := range []bool{true, false} {
				out, err := DecodeToolResult(encoded(t, ToToolResult(in, Version20251125, ours)), true)
				if err != nil {
					t.Fatal(err)
				}
				if a, b := fixture.MustJSON(t, in), fixture.MustJSON(t, out); a != b {
					t.Errorf("sent %s\ngot  %s", a, b)
				}
			}
		})
	}
}

func TestForeignClientsGetPlainMCP(t *testing.T) {
	res := overTheWire(t, ToToolResult(&agent.Result{Structured: json.RawMessage(`{"a":1}`)}, Version20251125, false))
	if text := res.Content[0].(*sdk.TextContent).Text; text != `{"a":1}` ||
		!reflect.DeepEqual(res.StructuredContent, map[string]any{"a": 1.0}) {
		t.Errorf("%q %v", text, res.StructuredContent)
	}
	res = overTheWire(t, ToToolResult(&agent.Result{Structured: json.RawMessage(`[1]`)}, Version20251125, false))
	if text := res.Content[0].(*sdk.TextContent).Text; text != `[1]` || res.StructuredContent != nil {
		t.Errorf("%q %v", text, res.StructuredContent)
	}
	if b := encoded(t, ToToolResult(nil, Version20251125, false)); string(b) != `{"content":[]}` {
		t.Errorf("no result: %s", b)
	}
	if res := overTheWire(t, ToToolResult(&agent.Result{Structured: json.RawMessage(`{"a":`)}, Version20251125,
		false)); !res.IsError || res.Meta[MetaCode] != "internal" {
		t.Errorf("a broken value: %s", fixture.MustJSON(t, res))
	}
	// The markers of a foreign server are ignored.
	got, err := DecodeToolResult(
		encoded(t, &sdk.CallToolResult{Meta: sdk.Meta{metaGenerated: true, metaStructured: "1"},
			Content: []sdk.Content{&sdk.TextContent{Text: "5"}}}), false)
	if err != nil || got.Structured != nil || got.Text() != "5" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestOldVersionsGetTextForUnknownBlocks(t *testing.T) {
	in := &agent.Result{Content: []agent.Content{agent.Audio([]byte("abc"), "audio/wav"),
		agent.Link("file:///x", "notes")}}
	old := ToToolResult(in, Version20241105, false).Content
	for i, want := range []string{"[audio, audio/wav, 3 bytes: the client's protocol version cannot carry it]",
		"notes file:///x"} {
		if got := fixture.Block(t, old[i]).Text; got != want {
			t.Errorf("in place of block %d there is %q, want %q", i, got, want)
		}
	}
	for version, want := range map[string]string{Version20241105: "text text", Version20250326: "audio text",
		Version20250618: "audio resource_link", Version20251125: "audio resource_link"} {
		var types []string
		for _, b := range ToToolResult(in, version, false).Content {
			types = append(types, fixture.Block(t, b).Type)
		}
		if got := strings.Join(types, " "); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
	unknown := &agent.Result{Content: []agent.Content{{Type: "video", Text: "t"}, {Type: agent.ContentResource},
		{Type: "video", Text: "no JSON", Annotations: json.RawMessage("{")}}}
	for i, want := range []string{`{"type":"video","text":"t"}`, `{"type":"resource"}`, "no JSON"} {
		block := fixture.Block(t, ToToolResult(unknown, Version20251125, false).Content[i])
		if block.Type != agent.ContentText || block.Text != want {
			t.Errorf("a block that MCP lacks is %s %s, want %s", block.Type, block.Text, want)
		}
	}
	for requested, want := range map[string]string{"2024-11-05": Version20241105, "2025-06-18": Version20250618,
		"2030-01-01": Version20251125,
		"2026-07-28": Version20251125, "1": Version20251125, "": Version20251125} {
		if got := NegotiatedVersion(requested); got != want {
			t.Errorf("NegotiatedVersion(%q) = %s", requested, got)
		}
	}
}

func TestErrorsSurviveTheWay(t *testing.T) {
	for _, code := range agent.Codes() {
		in := &agent.Error{Code: code, Message: "it is so: really", RetryAfter: 1500 * time.Millisecond,
			Details: json.RawMessage(`{"a":[1]}`), NotExecuted: true, Logged: true,
			RPC: json.RawMessage(`{"code":-32042,"message":"no"}`)}
		_, err := DecodeToolResult(encoded(t, ToErrorResult(in, true)), true)
		if fixture.MustJSON(t, err) != fixture.MustJSON(t, in) {
			t.Errorf("tool: sent %s, got %s", fixture.MustJSON(t, in), fixture.MustJSON(t, err))
		}
		_, err = DecodeToolResult(encoded(t, ToErrorResult(in, true)), false)
		if e := agent.AsError(err); e.Code != agent.CodeToolFailed || e.NotExecuted || e.Logged || e.RPC != nil ||
			e.RetryAfter != 0 || e.Details != nil || strings.Contains(string(e.Raw), MetaPrefix) {
			t.Errorf("tool, not trusted: %s", fixture.MustJSON(t, err))
		}
		rpc, ok := FromRPCError(ToRPCError(in, "a://b"), true)
		if !ok || fixture.MustJSON(t, rpc) != fixture.MustJSON(t, in) {
			t.Errorf("JSON-RPC: sent %s, got %s", fixture.MustJSON(t, in), fixture.MustJSON(t, rpc))
		}
		_, err = DecodeToolResult(encoded(t, ToErrorResult(&agent.Error{Code: code}, true)), true)
		if e := agent.AsError(err); e.Code != code || e.Message != "" && code != agent.CodeToolFailed {
			t.Errorf("without a message: %s", fixture.MustJSON(t, err))
		}
		if rpc, _ = FromRPCError(ToRPCError(in, ""), false); rpc.NotExecuted || rpc.Logged || rpc.RetryAfter != 0 ||
			rpc.Details != nil || rpc.Code != agent.CodeInternal && rpc.Code != agent.CodeInvalidArgument &&
			rpc.Code != agent.CodeNotFound && rpc.Code != agent.CodeUnimplemented {
			t.Errorf("JSON-RPC, not trusted: %s", fixture.MustJSON(t, rpc))
		}
	}
	for want, e := range map[string]*agent.Error{"no such city": {Code: agent.CodeToolFailed, Message: "no such city"},
		"tool_failed": {Code: agent.CodeToolFailed}, "not_found: gone": {Code: agent.CodeNotFound, Message: "gone"}} {
		if text := ToErrorResult(e, true).Content[0].(*sdk.TextContent).Text; text != want {
			t.Errorf("the text of %+v is %q, want %q", e, text, want)
		}
	}
	for _, c := range []struct {
		code agent.Code
		uri  string
		want int64
		data string
	}{
		{agent.CodeNotFound, "a:b", CodeResourceNotFound, `{"uri":"a:b","openmas/error":{"code":"not_found"}}`},
		{agent.CodeNotFound, "", jsonrpc.CodeInvalidParams, `{"openmas/error":{"code":"not_found"}}`},
		{agent.CodeInvalidArgument, "a:b", jsonrpc.CodeInvalidParams, `{"openmas/error":{"code":"invalid_argument"}}`},
		{agent.CodeUnimplemented, "", jsonrpc.CodeMethodNotFound, `{"openmas/error":{"code":"unimplemented"}}`},
		{agent.CodeUnavailable, "", jsonrpc.CodeInternalError, `{"openmas/error":{"code":"unavailable"}}`},
	} {
		var rpc *jsonrpc.Error
		if err := ToRPCError(&agent.Error{Code: c.code}, c.uri); !errors.As(err, &rpc) || rpc.Code != c.want ||
			string(rpc.Data) != c.data {
			t.Errorf("%s is %+v, %s", c.code, rpc, rpc.Data)
		}
	}
}

func TestForeignErrorsAreTranslated(t *testing.T) {
	for _, c := range []struct {
		code int64
		msg  string
		want agent.Code
	}{
		{-32602, `unknown tool "x"`, agent.CodeNotFound},
		{-32602, "Tool x not found", agent.CodeNotFound},
		{-32602, "a is required", agent.CodeInvalidArgument},
		{-32002, "Resource not found", agent.CodeNotFound},
		{-32601, "method not found", agent.CodeUnimplemented},
		{-32700, "parse error", agent.CodeInternal},
		{-32000, "whatever", agent.CodeInternal},
	} {
		e, ok := FromRPCError(&jsonrpc.Error{Code: c.code, Message: c.msg}, true)
		if !ok || e.Code != c.want || e.NotExecuted {
			t.Errorf("%d %s: %v", c.code, c.msg, e)
		}
	}
	for _, data := range []string{`{"uri":"a:b"}`, `[]`, ``} {
		e, ok := FromRPCError(&jsonrpc.Error{Code: -32002, Message: "m", Data: json.RawMessage(data)}, true)
		if !ok || e.Code != agent.CodeNotFound || e.Message != "m" {
			t.Errorf("an error with the data %s is %+v", data, e)
		}
	}
	if _, ok := FromRPCError(errors.New("x"), true); ok {
		t.Error("an error that is no JSON-RPC error was taken for one")
	}
	res := &sdk.CallToolResult{IsError: true,
		Content: []sdk.Content{&sdk.TextContent{Text: "a"}, &sdk.TextContent{Text: "b"}}}
	_, err := DecodeToolResult(encoded(t, res), false)
	if e := agent.AsError(err); e.Code != agent.CodeToolFailed || e.Message != "a\nb" {
		t.Error(err)
	}
}

func TestMetaIsTrustedFromOurOwnOnly(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	c := &agent.Call{ID: "i", From: agent.Identity{Agent: "editor", Instance: "editor/1", User: "ann"}, Root: "r",
		Path: []string{"desk", "editor"}, Key: "k", Keeper: "g", Depth: 3, Budget: "p/1", Attempt: 2, State: "s",
		Inputs: map[string]json.RawMessage{"q": json.RawMessage(`{"a":1}`)},
		Meta:   map[string]string{"traceparent": "tp", "baggage": "b", "authorization": "secret"}}
	decoded := func(m sdk.Meta) (out map[string]any) {
		if err := json.Unmarshal([]byte(fixture.MustJSON(t, m)), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	sent := decoded(RequestMeta{Call: c, Trusted: true}.Decoded(ctx))
	got := ReadMeta(sent, true)
	if got.ID != "i" || got.Caller != "editor" || got.Instance != "editor/1" || got.User != "ann" || !got.Untrusted ||
		got.Root != "r" || len(got.Path) != 2 || got.Key != "k" || got.Keeper != "g" || got.Depth != 3 ||
		got.Budget != "p/1" ||
		got.Attempt != 2 ||
		got.State != "s" || string(got.Inputs["q"]) != `{"a":1}` || got.Trace["traceparent"] != "tp" ||
		len(got.Trace) != 2 {
		t.Errorf("%+v", got)
	}
	if got.Timeout <= 0 || got.Timeout > time.Hour {
		t.Errorf("timeout %v", got.Timeout)
	}
	got = ReadMeta(sent, false)
	if got.ID != "" || got.Caller != "" || got.Instance != "" || got.User != "" || got.Root != "" || got.Path != nil ||
		got.Key != "k" || got.Keeper != "" || got.Depth != 0 || got.Budget != "" ||
		got.Attempt != 1 || got.State != "" ||
		got.Inputs != nil || got.Timeout == 0 || got.Trace["baggage"] != "b" {
		t.Errorf("not trusted: %+v", got)
	}
	if m := (RequestMeta{Call: c}).Decoded(ctx); len(m) != 1 || m["traceparent"] != "tp" {
		t.Errorf("a foreign peer got %v", m)
	}
	got = ReadMeta(map[string]any{MetaID: 1, MetaTimeout: "x", MetaDepth: -4.0, MetaAttempt: 1e300,
		"progressToken": map[string]any{}}, true)
	if got.ID != "" || got.Timeout != 0 || got.Depth != 0 || got.Attempt != 1 || got.Progress != nil {
		t.Errorf("malformed: %+v", got)
	}
}

// A tool is listed with a schema of objects, whatever its own is.
func TestToolsTakeObjects(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"object","title":"x"}`:                   `{"type":"object","title":"x"}`,
		`{"properties":{"a":{"const":9007199254740993}}}`: `{"properties":{"a":{"const":9007199254740993}},"type":"object"}`,
		`{"type":"string"}`:                               `{"type":"object"}`,
		`null`:                                            `{"type":"object"}`,
		`true`:                                            `{"type":"object"}`,
		``:                                                `{"type":"object"}`,
	} {
		got := ToTool(agent.ToolInfo{Name: "t", InputSchema: json.RawMessage(schema)}, "a.t").InputSchema
		if text, _ := got.(json.RawMessage); string(text) != want {
			t.Errorf("%s is listed as %s", schema, text)
		}
	}
}

// An error of JSON-RPC that a foreign server answered with keeps its code and its data on the way
// to a stranger, but for the URI of a resource, which has another name there.
func TestErrorsOfForeignServersPass(t *testing.T) {
	for _, c := range []struct {
		code      int64
		data, uri string
		want      string // for strangers: the code and the data
		ours      agent.Code
	}{
		{-32042, `{"elicitations":[1.0]}`, "", `-32042 {"elicitations":[1.0]}`, agent.CodeToolFailed},
		{-32050, `null`, "", `-32050 null`, agent.CodeInternal},
		{-32021, `{"openmas/error":{"code":"unavailable"},"n":1.0}`, "", `-32021 {"n":1.0}`, agent.CodeInternal},
		{9007199254740993, `{"openmas/error":{"code":"unavailable"}}`, "", `9007199254740993 `, agent.CodeInternal},
		{-32602, `"x"`, "", `-32602 "x"`, agent.CodeInvalidArgument},
		{-32002, `{"uri":"a:b","x":1.0}`, "gw:b", `-32002 {"uri":"gw:b","x":1.0}`, agent.CodeNotFound},
		{-32002, `{"x":1.0}`, "gw:b", `-32002 {"x":1.0}`, agent.CodeNotFound},
		{-32601, `[1.0]`, "gw:b", `-32601 [1.0]`, agent.CodeUnimplemented},
		{-32700, ``, "", `-32700 `, agent.CodeInternal},
	} {
		e, ok := FromRPCError(&jsonrpc.Error{Code: c.code, Message: "m", Data: json.RawMessage(c.data)}, false)
		if !ok || e.Code != c.ours {
			t.Errorf("%d is %+v", c.code, e)
		}
		var out *jsonrpc.Error
		if err := ToPeerError(e, c.uri, false); !errors.As(err, &out) ||
			fmt.Sprint(out.Code, " ", string(out.Data)) != c.want {
			t.Errorf("%d %s passes as %d %s, want %s", c.code, c.data, out.Code, out.Data, c.want)
		}
		var back *jsonrpc.Error
		if err := ToPeerError(e, c.uri, true); !errors.As(err, &back) {
			t.Fatal(err)
		}
		if again, _ := FromRPCError(back, true); fixture.MustJSON(t, again) != fixture.MustJSON(t, e) {
			t.Errorf("%d for ours: %s, want %s", c.code, fixture.MustJSON(t, again), fixture.MustJSON(t, e))
		}
	}
	unknown := agent.Errorf(agent.CodeNotFound, "gone")
	unknown.RPC = json.RawMessage(`{"code":-32602,"message":"gone"}`) // some servers say so
	var out *jsonrpc.Error
	if err := ToPeerError(unknown, "gw:b", false); !errors.As(err, &out) || out.Code != CodeResourceNotFound {
		t.Errorf("a resource that is gone is %+v", out)
	}
}

// The trace of an error is for every client, and what is none is not taken for one.
func TestTracesOfErrors(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, trusted := range []bool{false, true} {
		for _, c := range []struct{ said, want string }{{trace, trace}, {"\x1b[2J", ""}, {"", ""}} {
			e := agent.Errorf(agent.CodeUnavailable, "gone")
			e.Trace = c.said
			raw, err := json.Marshal(ToErrorResult(e, trusted))
			if err != nil {
				t.Fatal(err)
			}
			_, back := DecodeToolResult(raw, trusted)
			if got := agent.AsError(back); got.Trace != c.want {
				t.Errorf("trusted %v: %s is read as %+v", trusted, raw, got)
			}
			for _, err := range []error{ToRPCError(e, "a:b"), UnknownName("unknown", c.said)} {
				if got, ok := FromRPCError(err, trusted); !ok || got.Trace != c.want {
					t.Errorf("trusted %v: %v is read as %+v", trusted, err, got)
				}
			}
		}
	}
}
