package pubsub

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
	frame   frame
} {
	type entry = struct {
		subject string
		frame   frame
	}
	s, _ := newSubjects("crew")
	body := func(f frame, payload []byte, body string) frame {
		f.payload, f.body = payload, body
		return f
	}
	text, _ := json.Marshal(agent.Request{Kind: agent.AskElicit, Params: json.RawMessage(`{"message":"sure?"}`)})
	notice, _ := json.Marshal(agent.Notice{Progress: &agent.ProgressNotice{Progress: 1, Total: 3, Message: "one"}})
	call := frame{kind: kindCall, ref: "3w5e11264sgsf-1", replyTo: s.reply("3w5e11264sgsf"), op: "tool",
		agent: "weather", name: "forecast", id: "1f2e3d", timeout: 30000,
		sent: 1750000000123, caller: "editor", attempt: 1}
	full := call
	full.key, full.depth, full.attempt, full.back = "once%\n", 2, 3, true
	full.op, full.name = "resource", "w://a%20b/ü"
	full.meta = map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"baggage": "a=b", "x-user: id": " two words "}
	resume, resumeBody, _ := callBody(&agent.Call{Input: json.RawMessage(`{"city":"Bern"}`), State: "s1",
		Inputs: map[string]json.RawMessage{"q": json.RawMessage(`true`)}})
	structured, structuredBody := resultBody(&agent.Result{Structured: json.RawMessage(`{"sky":"grey"}`)}, nil)
	result, kindOfResult := resultBody(agent.TextResult("grey"), nil)
	refusal, refusalBody := resultBody(nil, &agent.Error{Code: agent.CodeResourceExhausted, Message: "busy",
		RetryAfter: time.Second, NotExecuted: true})
	reply := frame{kind: kindReply, ref: call.ref}
	answer := frame{kind: kindAnswer, ref: "9zk2-7"}
	return map[string]entry{
		"call":      {s.call("weather"), body(call, []byte(`{"city":"Bern"}`), "")},
		"call_full": {s.call("weather"), full},
		"call_info": {s.call("weather"), frame{kind: kindCall, ref: call.ref, replyTo: call.replyTo, op: opInfo,
			agent: "weather", sent: 1750000000123, attempt: 1}},
		"call_resumed":     {s.call("weather"), body(call, resume, resumeBody)},
		"cancel":           {s.control("weather"), frame{kind: kindCancel, ref: call.ref}},
		"reply_structured": {call.replyTo, body(reply, structured, structuredBody)},
		"reply_result":     {call.replyTo, body(reply, result, kindOfResult)},
		"reply_error":      {call.replyTo, body(reply, refusal, refusalBody)},
		"heartbeat":        {call.replyTo, frame{kind: kindHeartbeat, ref: call.ref, agent: "weather"}},
		"notice":           {call.replyTo, frame{kind: kindNotice, ref: call.ref, payload: notice}},
		"ask": {call.replyTo, frame{kind: kindAsk, ref: call.ref, ask: "9zk2-7", replyTo: s.reply("9zk2"),
			payload: text}},
		"answer": {s.reply("9zk2"), body(answer, []byte(`{"action":"decline"}`), bodyStructured)},
		"presence": {s.presence(), frame{kind: kindPresence, name: presenceHello, source: "3w5e11264s",
			payload: []byte(`{"host":"a","pid":7,"started":"2026-01-05T10:00:00Z","agents":[` +
				`{"name":"weather","communicator":"local","offers":"5f1c9be2","instances":[{"id":"weather/0","state":"ready","inFlight":0,"served":3,"restarts":0}]}]}`)}},
		"event": {s.event("file.found"), frame{kind: kindEvent, id: "8d3f", topic: "file.found", source: "collector",
			key: "a.go", sent: 1750000000123,
			meta:    map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			payload: []byte(`{"path":"a.go"}`)}},
	}
}

// The wire format is frozen: a test that fails here is a break for every other implementation.
func TestGoldenFrames(t *testing.T) {
	for name, e := range frames() {
		t.Run(name, func(t *testing.T) {
			m, refused := e.frame.encode(0)
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
			f, refused := decode(&message.Message{Metadata: g.Metadata, Payload: []byte(g.Payload)})
			want := e.frame
			if len(want.payload) == 0 {
				want.payload = []byte{}
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
		m, _ := good.encode(0)
		maps.Copy(m.Metadata, c.change)
		f, err := decode(m)
		if c.code == "" {
			if err != nil {
				t.Errorf("%v: %v", c.change, err)
			}
			continue
		}
		if err == nil || err.Code != c.code || !err.NotExecuted {
			t.Errorf("%v: %+v, want %s not executed", c.change, err, c.code)
		}
		if f.ref != good.ref || f.replyTo != good.replyTo {
			t.Errorf("%v: it cannot be answered: %+v", c.change, f)
		}
	}
}

func TestEncodeLimits(t *testing.T) {
	f := frame{kind: kindCall, ref: "a-1", payload: make([]byte, 100)}
	if _, err := f.encode(100); err != nil {
		t.Fatal(err)
	}
	if _, err := f.encode(99); err == nil || err.Code != agent.CodeResourceExhausted || !err.NotExecuted {
		t.Fatal(err)
	}
	f.meta = map[string]string{"x": strings.Repeat("y", MaxMetadata)}
	if _, err := f.encode(0); err == nil || err.Code != agent.CodeResourceExhausted || !err.NotExecuted {
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
		m, _ := fr.encode(0)
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
		fr, err := decode(&message.Message{Metadata: md, Payload: payload})
		if err != nil {
			return
		}
		var call agent.Call
		_ = readCallBody(&fr, &call)
		if _, err := readResult(fr.payload, fr.body); err != nil {
			var e *agent.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
		}
		m, err := fr.encode(0)
		if err != nil {
			return // too large
		}
		again, err := decode(m)
		if err != nil || !reflect.DeepEqual(again, fr) {
			t.Fatalf("%+v\n%+v\n%v", fr, again, err)
		}
	})
}

// lender keeps nothing of a message but a copy.
type lender struct {
	Driver
	got *message.Message
}

func (*lender) Borrows() {}

func (l *lender) Publish(_ string, messages ...*message.Message) error {
	l.got = messages[0].Copy()
	return nil
}

// A message that has served before says nothing of what it said then.
func TestMessagesServeAgain(t *testing.T) {
	l := &lender{Driver: NewMemory(MemoryOptions{})}
	c := &Communicator{driver: l}
	large := frame{kind: kindCall, ref: "r", key: "k", meta: map[string]string{"a": strings.Repeat("x", MaxMetadata)}}
	for range 20 { // the pool may lose some
		if err := c.send(t.Context(), "s", &large, 0); err == nil {
			t.Fatal("metadata over the limit was sent")
		}
		for name, e := range frames() {
			want, refused := e.frame.encode(0)
			if refused != nil {
				t.Fatal(refused)
			}
			if err := c.send(t.Context(), e.subject, &e.frame, 0); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(l.got.Metadata, want.Metadata) || string(l.got.Payload) != string(want.Payload) ||
				l.got.UUID != want.UUID {
				t.Fatalf("%s: got %s %v %s, want %s %v %s", name, l.got.UUID, l.got.Metadata, l.got.Payload, want.UUID,
					want.Metadata, want.Payload)
			}
		}
	}
}
