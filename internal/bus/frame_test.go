package bus

import (
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/openmas/openmas/agent"
)

var update = flag.Bool("update", false, "write the golden files")

// golden is a frame as a file: what is on the wire, and what it means in a line.
type golden struct {
	Subject  string            `json:"subject"`
	Metadata map[string]string `json:"metadata"`
	Payload  string            `json:"payload,omitempty"`
}

func frames() map[string]struct {
	subject string
	frame   Frame
} {
	type entry = struct {
		subject string
		frame   Frame
	}
	s, _ := NewSubjects("crew")
	body := func(f Frame, payload []byte, body string) Frame {
		f.Payload, f.Body = payload, body
		return f
	}
	text, _ := json.Marshal(agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"message":"sure?"}`)})
	notice, _ := json.Marshal(agent.Notice{Progress: &agent.ProgressNotice{Progress: 1, Total: 3, Message: "one"}})
	call := Frame{Kind: KindCall, Ref: "3w5e11264sgsf-1", ReplyTo: s.Reply("3w5e11264sgsf"), Op: "tool",
		Agent: "weather", Name: "forecast", ID: "1f2e3d", Timeout: 30000,
		Sent: 1750000000123, Caller: "editor", Attempt: 1}
	full := call
	full.Key, full.Depth, full.Attempt, full.Back = "once%\n", 2, 3, true
	full.Instance, full.User, full.Root, full.Path = "editor/0", "Ann Ó", "1f2e00", "desk,editor"
	full.Untrusted, full.Keeper, full.Budget = true, "5k2j", "q7zk/1ab"
	full.Op, full.Name = "resource", "w://a%20b/ü"
	full.Meta = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"baggage": "a=b", "x-user: id": " two words "}
	resumed, _ := CallFrame(&agent.Call{Input: json.RawMessage(`{"city":"Bern"}`), State: "s1",
		Inputs: map[string]json.RawMessage{"q": json.RawMessage(`true`)}})
	structured, structuredBody := resultBody(&agent.Result{Structured: json.RawMessage(`{"sky":"grey"}`)}, nil)
	result, kindOfResult := resultBody(agent.TextResult("grey"), nil)
	refusal, refusalBody := resultBody(nil, &agent.Error{Code: agent.CodeResourceExhausted, Message: "busy",
		RetryAfter: time.Second, NotExecuted: true})
	reply := Frame{Kind: KindReply, Ref: call.Ref}
	answer := Frame{Kind: KindAnswer, Ref: "9zk2-7"}
	return map[string]entry{
		"call":      {s.Call("weather"), body(call, []byte(`{"city":"Bern"}`), "")},
		"call_full": {s.Call("weather"), full},
		"call_info": {s.Call("weather"), Frame{Kind: KindCall, Ref: call.Ref, ReplyTo: call.ReplyTo, Op: OpInfo,
			Agent: "weather", Sent: 1750000000123, Attempt: 1}},
		"call_resumed":     {s.Call("weather"), body(call, resumed.Payload, resumed.Body)},
		"cancel":           {s.Control("weather"), Frame{Kind: KindCancel, Ref: call.Ref}},
		"reply_structured": {call.ReplyTo, body(reply, structured, structuredBody)},
		"reply_result":     {call.ReplyTo, body(reply, result, kindOfResult)},
		"reply_error":      {call.ReplyTo, body(reply, refusal, refusalBody)},
		"heartbeat":        {call.ReplyTo, Frame{Kind: KindHeartbeat, Ref: call.Ref, Agent: "weather"}},
		"notice":           {call.ReplyTo, Frame{Kind: KindNotice, Ref: call.Ref, Payload: notice}},
		"ask": {call.ReplyTo, Frame{Kind: KindAsk, Ref: call.Ref, Ask: "9zk2-7", ReplyTo: s.Reply("9zk2"),
			Payload: text}},
		"answer": {s.Reply("9zk2"), body(answer, []byte(`{"action":"decline"}`), BodyStructured)},
		"presence": {s.Presence(), Frame{Kind: KindPresence, Name: PresenceHello, Source: "3w5e11264s",
			Payload: []byte(`{"host":"a","pid":7,"started":"2026-01-05T10:00:00Z","agents":[` +
				`{"name":"weather","communicator":"local","offers":"5f1c9be2",` +
				`"instances":[{"id":"weather/0","state":"ready","inFlight":0,"served":3,"restarts":0}]}]}`)}},
		"event": {s.Event("file.found"), Frame{Kind: KindEvent, ID: "8d3f", Topic: "file.found", Source: "collector",
			Key: "a.go", Sent: 1750000000123,
			Meta:    map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			Payload: []byte(`{"path":"a.go"}`)}},
	}
}

// The wire format is frozen: a test that fails here is a break for every other implementation.
func TestGoldenFrames(t *testing.T) {
	for name, e := range frames() {
		t.Run(name, func(t *testing.T) {
			m, refused := e.frame.Encode(0)
			if refused != nil {
				t.Fatal(refused)
			}
			file := filepath.Join("testdata", name+".json")
			if *update {
				b, _ := json.MarshalIndent(golden{e.subject, m.Metadata, string(m.Payload)}, "", "\t")
				if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var g golden
			if err := json.Unmarshal(b, &g); err != nil {
				t.Fatal(err)
			}
			if g.Subject != e.subject || !maps.Equal(g.Metadata, m.Metadata) || g.Payload != string(m.Payload) {
				t.Errorf("got  %s %v %s\nwant %s %v %s", e.subject, m.Metadata, m.Payload, g.Subject, g.Metadata,
					g.Payload)
			}
			f, refused := Decode(&message.Message{Metadata: g.Metadata, Payload: []byte(g.Payload)})
			want := e.frame
			if len(want.Payload) == 0 {
				want.Payload = []byte{}
			}
			if refused != nil || !reflect.DeepEqual(f, want) {
				t.Errorf("decoded %+v %v\nwant    %+v", f, refused, want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct {
		change map[string]string
		code   agent.Code
	}{
		{map[string]string{"v": "2"}, agent.CodeUnimplemented},
		{map[string]string{"v": "17.3"}, agent.CodeUnimplemented},
		{map[string]string{"v": "1.9", "depth": "3"}, ""}, // minor additions are no break
		{map[string]string{"later": "x"}, ""},
		{map[string]string{"v": ""}, agent.CodeInternal},
		{map[string]string{"v": "0"}, agent.CodeInternal},
		{map[string]string{"v": "one"}, agent.CodeInternal},
		{map[string]string{"kind": ""}, agent.CodeInternal},
		{map[string]string{"timeout": "-1"}, agent.CodeInternal},
		{map[string]string{"timeout": "soon"}, agent.CodeInternal},
		{map[string]string{"depth": "99999999999"}, agent.CodeInternal},
		{map[string]string{"name": "%"}, agent.CodeInternal},
		{map[string]string{"meta-x": "%zz"}, agent.CodeInternal},
		{map[string]string{"meta-%": "x"}, agent.CodeInternal},
	} {
		good := frames()["call"].frame
		m, _ := good.Encode(0)
		maps.Copy(m.Metadata, c.change)
		f, err := Decode(m)
		if c.code == "" {
			if err != nil {
				t.Errorf("%v: %v", c.change, err)
			}
			continue
		}
		if err == nil || err.Code != c.code || !err.NotExecuted {
			t.Errorf("%v: %+v, want %s not executed", c.change, err, c.code)
		}
		if f.Ref != good.Ref || f.ReplyTo != good.ReplyTo {
			t.Errorf("%v: it cannot be answered: %+v", c.change, f)
		}
	}
}

func TestEncodeLimits(t *testing.T) {
	f := Frame{Kind: KindCall, Ref: "a-1", Payload: make([]byte, 100)}
	if _, err := f.Encode(100); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Encode(99); err == nil || err.Code != agent.CodeResourceExhausted || !err.NotExecuted {
		t.Fatal(err)
	}
	f.Meta = map[string]string{"x": strings.Repeat("y", MaxMetadata)}
	if _, err := f.Encode(0); err == nil || err.Code != agent.CodeResourceExhausted || !err.NotExecuted {
		t.Fatal(err)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a", " ", "%", "%41", "ü", "\xff", "a\r\nb", " a ", "a:b c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, also := range []string{"", ": "} {
			e := escape(s, also)
			if strings.ContainsAny(e, "\r\n\x00\x7f"+also) || strings.TrimSpace(e) != e && strings.Trim(e, " ") != e {
				t.Fatalf("%q becomes %q", s, e)
			}
			if also != "" {
				e = escapeKey(s)
			}
			if back, ok := unescape(e); !ok || back != s {
				t.Fatalf("%q becomes %q and then %q", s, e, back)
			}
		}
	})
}

// FuzzDecode feeds metadata as JSON: nothing panics, and what decodes encodes to something that
// decodes to the same.
func FuzzDecode(f *testing.F) {
	for _, e := range frames() {
		fr := e.frame
		m, _ := fr.Encode(0)
		b, _ := json.Marshal(m.Metadata)
		f.Add(b, []byte(m.Payload))
	}
	f.Add([]byte(`{"v":"2","kind":"call"}`), []byte(nil))
	f.Add([]byte(`{"v":"1","kind":"reply","ref":"x","body":"error"}`), []byte(`{"code":"nonsense"}`))
	f.Fuzz(func(t *testing.T, metadata, payload []byte) {
		var md message.Metadata
		if json.Unmarshal(metadata, &md) != nil {
			return
		}
		fr, err := Decode(&message.Message{Metadata: md, Payload: payload})
		if err != nil {
			return
		}
		_, _ = fr.Call()
		if _, err := ReadResult(fr.Payload, fr.Body); err != nil {
			var e *agent.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
		}
		m, err := fr.Encode(0)
		if err != nil {
			return // too large
		}
		again, err := Decode(m)
		if err != nil || !reflect.DeepEqual(again, fr) {
			t.Fatalf("%+v\n%+v\n%v", fr, again, err)
		}
	})
}
