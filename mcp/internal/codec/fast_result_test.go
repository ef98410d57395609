package codec

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/internal/rawjson"
)

// results are of every sort.
func results() []*agent.Result {
	text := func(s ...string) (out []agent.Content) {
		for _, t := range s {
			out = append(out, agent.Text(t))
		}
		return out
	}
	all := []*agent.Result{nil, {}, {Content: []agent.Content{}},
		{Content: text("")}, {Content: text("a", "b")}, {Content: text("line\nbreak\r\ttab \"quoted\" \\ \x00\x1f " +
			"<b>&\u2028 grüß 😀 \xff cut")},
		{Content: []agent.Content{agent.Image([]byte{1, 2}, "image/png")}},
		{Content: []agent.Content{agent.Text("a"), agent.Audio([]byte{3}, "audio/wav")}},
		{Content: []agent.Content{agent.Link("x://y", "y"),
			agent.Embed(agent.ResourceContents{URI: "x://z", Text: "t"})}},
		{Content: []agent.Content{{Type: agent.ContentText, Text: "n",
			Annotations: json.RawMessage(`{"audience":["user"]}`), Meta: json.RawMessage(`{"k":1}`)}}},
		{Content: []agent.Content{{Type: "hologram", Text: "?"}}},
		{Content: text("m"), Meta: map[string]json.RawMessage{"k": json.RawMessage(`[1, 2]`),
			"openmas/code": json.RawMessage(`"forged"`)}},
		{Pending: &agent.Pending{State: "s",
			Requests: map[string]agent.Request{"q": {Kind: agent.AskElicit, Params: json.RawMessage(`{}`)}}}}}
	for _, v := range []string{`{}`, `{"a":1}`, " {\n\"a\" : [1,\r\n2]}", `[1,2]`, `"text"`, `12345678901234567890`,
		`1.5e300`, `null`, `true`, `{"s":"\u00e9\n<&>"}`, `{"a":`, `nonsense`} {
		all = append(all, &agent.Result{Structured: json.RawMessage(v)},
			&agent.Result{Structured: json.RawMessage(v), Content: text("own words")},
			&agent.Result{Structured: json.RawMessage(v),
				Content: []agent.Content{agent.Image([]byte{1}, "image/png")}})
	}
	return all
}

func TestFastResultsAreTheSDKs(t *testing.T) {
	self, plain := json.RawMessage(`{"name":"tester"}`), 0
	for _, version := range []string{Version20241105, Version20250326, Version20250618, Version20251125,
		Version20260728} {
		for _, ours := range []bool{false, true} {
			for _, res := range results() {
				got, ok := AppendToolResult([]byte("before"), res, ResultFormat{version, ours}, self)
				if !ok {
					continue // the SDK's types differ
				}
				plain++
				sdkSays := ToToolResult(res, version, ours)
				if version == Version20260728 {
					sdkSays = CompleteToolResult(sdkSays)
					sdkSays.Meta = maps.Clone(sdkSays.Meta)
					if sdkSays.Meta == nil {
						sdkSays.Meta = sdk.Meta{}
					}
					sdkSays.Meta[sdk.MetaKeyServerInfo] = self
				}
				want, err := json.Marshal(sdkSays)
				if err != nil {
					t.Fatalf("%+v: %v", res, err)
				}
				got = bytes.TrimPrefix(got, []byte("before"))
				if !reflect.DeepEqual(fixture.Tree(t, got), fixture.Tree(t, want)) {
					t.Errorf("%s, ours %v:\n got %s\nwant %s", version, ours, got, want)
				}
				if bytes.ContainsAny(got, "\r\n") {
					t.Errorf("more than a line: %q", got)
				}
				checkDecode(t, got, ours)
			}
		}
	}
	if plain < 100 {
		t.Errorf("%d results are plain", plain)
	}
	for _, code := range agent.Codes() {
		for _, e := range []*agent.Error{{Code: code}, {Code: code, Message: "m\n\"q\"", RetryAfter: time.Second,
			Details: json.RawMessage(`{"a":1}`), NotExecuted: true}} {
			raw, err := json.Marshal(ToErrorResult(e, true))
			if err != nil {
				t.Fatal(err)
			}
			checkDecode(t, raw, true)
			checkDecode(t, raw, false)
		}
	}
}

// checkDecode holds the reading of plain results against that of all others, and against the SDK's.
func checkDecode(t *testing.T, raw []byte, trusted bool) {
	t.Helper()
	got, ok := scanToolResult(raw, trusted)
	if !ok {
		return
	}
	o, err := ReadObject(raw)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	want, err := readToolResult(o, raw, trusted)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v, %v", raw, got, want, err)
	}
	var res sdk.CallToolResult
	if err := json.Unmarshal(raw, &res); err != nil {
		t.Errorf("%s: taken for a result, but %v", raw, err)
	}
}

// FuzzResult reads arbitrary results on both ways.
func FuzzResult(f *testing.F) {
	for _, res := range results() {
		if raw, ok := AppendToolResult(nil, res, ResultFormat{Version20251125, true}, nil); ok {
			f.Add(raw)
		}
	}
	for _, s := range []string{`{"content":[{"type":"text","text":"a","x":1}]}`, `{"content":null,"isError":null}`,
		`{"Content":[]}`, `{"structuredContent":{"result":[ 1 ]}}`,
		`{"content":[],"content":[]}`, `{"_meta":null}`, `{"_meta":{"k":1,"k":2}}`,
		`{"_meta":{"openmas/structured":"{","openmas/generated":false}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		// a float64 does not hold every exponent
		if !rawjson.Valid(raw) || bytes.Contains(raw, []byte(`1e`)) || bytes.Contains(raw, []byte(`1E`)) {
			return
		}
		checkDecode(t, raw, true)
		checkDecode(t, raw, false)
	})
}

// What a request says of its call. Both ways write it and understand it alike.
func TestRequestMeta(t *testing.T) {
	for _, c := range []struct {
		call            agent.Call
		foreign, wanted string // what a foreign server is told, and one of ours
	}{
		{agent.Call{}, ``, `{"openmas/untrusted":true}`},
		{agent.Call{ID: "i", From: agent.Identity{Agent: "c", Trusted: true}, Root: "i", Path: []string{"c"}}, ``,
			`{"openmas/id":"i","openmas/caller":"c"}`},
		{agent.Call{ID: "i", From: agent.Identity{Agent: "c", Instance: "c/0", User: "Ö\"\n"}, Root: "r",
			Path: []string{"b", "c"}, Key: "k \"q\"", Keeper: "g", Depth: 3, Attempt: 2, State: "s\n"}, ``,
			`{"openmas/id":"i","openmas/caller":"c","openmas/instance":"c/0","openmas/user":"Ö\"\n","openmas/untrusted":true,` +
				`"openmas/root":"r","openmas/path":"b,c","openmas/key":"k \"q\"","openmas/keeper":"g","openmas/state":"s\n",` +
				`"openmas/depth":3,"openmas/attempt":2}`},
		{agent.Call{From: agent.Identity{Trusted: true}, Attempt: 1, Meta: map[string]string{"traceparent": "00-1",
			"tracestate": "a=b", "baggage": "", "other": "x"}}, `{"traceparent":"00-1","tracestate":"a=b"}`,
			`{"traceparent":"00-1","tracestate":"a=b"}`},
		{agent.Call{From: agent.Identity{Trusted: true},
			Inputs: map[string]json.RawMessage{"q": json.RawMessage(`{"a":[1]}`)}}, ``,
			`{"openmas/inputs":"{\"q\":{\"a\":[1]}}"}`},
		{agent.Call{From: agent.Identity{Trusted: true},
			Inputs: map[string]json.RawMessage{"q": json.RawMessage(`no JSON`)}}, ``, ``},
	} {
		for trusted, want := range map[bool]string{false: c.foreign, true: c.wanted} {
			m := RequestMeta{Call: &c.call, Trusted: trusted}
			raw := m.append(t.Context(), nil)
			if string(raw) != want {
				t.Errorf("%+v, trusted %v:\n got %s\nwant %s", c.call, trusted, raw, want)
			}
			if len(raw) > 0 {
				checkMeta(t, raw)
			}
			m.Progress, m.Members = "om-1", []byte(`"a":1`)
			if d := m.Decoded(t.Context()); d["progressToken"] != "om-1" || d["a"] != 1.0 {
				t.Errorf("decoded: %v", d)
			}
		}
	}
	long, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	m := RequestMeta{Call: &agent.Call{}, Trusted: true}
	if ms, _ := m.Decoded(long)[MetaTimeout].(float64); ms <= 3500_000 || ms > 3600_000 {
		t.Errorf("%v ms of an hour", ms)
	}
	if d := (RequestMeta{Call: &agent.Call{}}).Decoded(long); d == nil || len(d) != 0 {
		t.Errorf("a foreign server is told %v", d)
	}
}

// checkMeta holds the fast path's reading of `_meta` against that of what the SDK decoded. It need
// not take it.
func checkMeta(t *testing.T, raw []byte) {
	t.Helper()
	var decoded map[string]any
	if json.Unmarshal(raw, &decoded) != nil {
		return
	}
	for _, trusted := range []bool{false, true} {
		got, _, ok := scanMeta(raw, trusted)
		if !ok {
			continue
		}
		want := ReadMeta(decoded, trusted)
		if n, number := got.Progress.(json.Number); number {
			f, err := n.Float64()
			if want.Progress != f || err != nil || f != math.Trunc(f) {
				t.Errorf("%s: token %v, want %v", raw, n, want.Progress)
			}
			got.Progress = want.Progress
		}
		for k, v := range got.Inputs { // these keep their digits and spaces
			if got.Inputs[k] = Compact(v); string(want.Inputs[k]) == "" {
				t.Errorf("%s: input %s", raw, k)
			}
		}
		if len(got.Inputs) == len(want.Inputs) {
			got.Inputs, want.Inputs = nil, nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s, trusted %v:\n got %+v\nwant %+v", raw, trusted, got, want)
		}
	}
}

// FuzzCall reads arbitrary parameters on both ways.
func FuzzCall(f *testing.F) {
	for _, s := range []string{`{"name":"a"}`, `{"name":"a","arguments":{"x":[1]},"_meta":{"progressToken":7}}`,
		`{"name":"\u0061","arguments":null}`, `{"arguments":{},"Name":"b"}`,
		`{"name":"a","_meta":{"openmas/timeout":5,"openmas/depth":-1,"openmas/attempt":0,"traceparent":"t","openmas/inputs":"{\\"a\\":{}}"}}`,
		`{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}`,
		`{"name":"a","_meta":{"openmas/timeout":1e3,"progressToken":"x"}}`,
		`{"name":"a","_meta":{"openmas/id":"a","openmas/id":"b","traceparent":"","traceparent":"x"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		name, args, _, _, ok := ScanCall(raw, true)
		if !ok {
			return
		}
		var want struct {
			Name string          `json:"name"`
			Args json.RawMessage `json:"arguments"`
			Meta json.RawMessage `json:"_meta"`
		}
		if err := json.Unmarshal(raw, &want); err != nil || name != want.Name || string(args) != string(want.Args) {
			t.Errorf("%s: %q %s, want %q %s, %v", raw, name, args, want.Name, want.Args, err)
		}
		checkMeta(t, want.Meta)
	})
}
