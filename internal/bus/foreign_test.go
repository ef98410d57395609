package bus

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/openmas/openmas/agent"
)

// What a foreign server sent crosses untouched, in the order and with the literals that it has.
func TestForeignResultsCross(t *testing.T) {
	tool := `{"structuredContent":{"n":12345678901234567890,"a":"<&>"},"x":1.0,"_meta":{"k":{"b":1,"a":2}},` +
		`"content":[{"text":"hi","type":"text"},{"type":"hologram","data":{"x":[]}}]}`
	res, err := foreignResult([]byte(tool))
	if err != nil || len(res.Content) != 2 || res.Content[0].Text != "hi" || string(res.Content[1].Raw) == "" ||
		string(res.Structured) != `{"n":12345678901234567890,"a":"<&>"}` || string(res.Meta["k"]) != `{"b":1,"a":2}` {
		t.Fatalf("%+v, %v", res, err)
	}
	payload, body := resultBody(res, nil)
	if body != BodyMCP || string(payload) != tool {
		t.Fatalf("%s: %s", body, payload)
	}
	if got, err := ReadResult(payload, body); err != nil || !reflect.DeepEqual(got, res) {
		t.Errorf("%+v, %v", got, err)
	}
	prompt := &agent.Result{Structured: json.RawMessage(`{"messages":[]}`),
		Raw: json.RawMessage(`{"messages":[],"x":1}`)}
	payload, body = resultBody(prompt, nil)
	if got, err := ReadResult(payload, body); body != BodyResult || err != nil || !reflect.DeepEqual(got, prompt) {
		t.Errorf("%s: %s, %v", body, payload, err)
	}
	changed := *res
	changed.Content = []agent.Content{agent.Text("masked")}
	payload, body = resultBody(&changed, nil)
	if got, err := ReadResult(payload, body); err != nil || !reflect.DeepEqual(got, &changed) {
		t.Errorf("a result with content of ours crosses as %s %s, %v", body, payload, err)
	}
}

// What crosses more than one broker stays as the server sent it, white space included.
func TestForeignResultsCrossTwice(t *testing.T) {
	const sent = "{\"content\": [ {\"type\": \"text\", \"text\": \"<b>\u2028\"} ],\n \"structuredContent\": {\"n\": 1.0,\t\"a\": \"<&>\"}, " +
		`"_meta": {"k": [1, 2]}}`
	res, err := foreignResult([]byte(sent))
	if err != nil {
		t.Fatal(err)
	}
	if string(res.Structured) != `{"n":1.0,"a":"<&>"}` { // as a session to the server reads it
		t.Errorf("the structured value is %s", res.Structured)
	}
	for hop := range 3 {
		payload, body := resultBody(res, nil)
		if body != BodyMCP || string(payload) != sent {
			t.Fatalf("hop %d: %s: %s", hop, body, payload)
		}
		if res, err = ReadResult(payload, body); err != nil {
			t.Fatal(err)
		}
	}
}

// The error that a foreign server's result became, and the input for one, cross with the literals
// that they have.
func TestForeignLiteralsCross(t *testing.T) {
	const literals = "{\"a\":\"<b>&\u2028\\u003c\\/\",\"n\":1.50e3}"
	e := &agent.Error{Code: agent.CodeToolFailed, Message: "<b>", Details: json.RawMessage(literals),
		Raw: json.RawMessage(`{"isError":true,"content":[],"x":` + literals + `}`)}
	for range 2 {
		f := ReplyFrame(KindReply, "r", nil, e, 0)
		if _, err := ReadResult(f.Payload, f.Body); !reflect.DeepEqual(err, e) {
			t.Fatalf("%s\nis %+v", f.Payload, err)
		}
	}
	call := &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t", Input: json.RawMessage(literals), State: "s",
		Inputs: map[string]json.RawMessage{"q": json.RawMessage(literals)}}
	f, err := CallFrame(call)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Call(); err != nil || string(got.Input) != literals || string(got.Inputs["q"]) != literals {
		t.Errorf("%s, %v", f.Payload, err)
	}
}
