package codec

import (
	"context"
	"encoding/json"
	"errors"
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
			Details: json.RawMessage(`{"a":[1]}`), NotExecuted: true}
		_, err := DecodeToolResult(encoded(t, ToErrorResult(in)), true)
		if fixture.MustJSON(t, err) != fixture.MustJSON(t, in) {
			t.Errorf("tool: sent %s, got %s", fixture.MustJSON(t, in), fixture.MustJSON(t, err))
		}
		_, err = DecodeToolResult(encoded(t, ToErrorResult(in)), false)
		if e := agent.AsError(err); e.Code != code || e.NotExecuted {
			t.Errorf("tool, not trusted: %s", fixture.MustJSON(t, err))
		}
		rpc, ok := FromRPCError(ToRPCError(in, "a://b"), true)
		if !ok || fixture.MustJSON(t, rpc) != fixture.MustJSON(t, in) {
			t.Errorf("JSON-RPC: sent %s, got %s", fixture.MustJSON(t, in), fixture.MustJSON(t, rpc))
		}
		if rpc, _ = FromRPCError(ToRPCError(in, ""), false); rpc.NotExecuted {
			t.Errorf("JSON-RPC, not trusted: %s", fixture.MustJSON(t, rpc))
		}
	}
	failed := ToErrorResult(agent.Errorf(agent.CodeToolFailed, "no such city"))
	if text := failed.Content[0].(*sdk.TextContent).Text; text != "no such city" {
		t.Errorf("a tool's own words: %q", text)
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
		Path: []string{"desk", "editor"}, Key: "k", Keeper: "g", Depth: 3, Attempt: 2, State: "s",
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
		got.Key != "k" || got.Keeper != "" || got.Depth != 0 || got.Attempt != 1 || got.State != "" ||
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
