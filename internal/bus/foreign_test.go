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
