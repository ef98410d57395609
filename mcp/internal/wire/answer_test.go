package wire

import (
	"strings"
	"testing"
)

// TestMessages: what is passed on is a message on one line, however it was written.
func TestMessages(t *testing.T) {
	for in, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"result":{}}`:                  `{"jsonrpc":"2.0","id":1,"result":{}}`,
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n0":             `{"jsonrpc":"2.0","method":"a"}`,
		`{"jsonrpc":"2.0","id":7,"method":null,"result":{}}`:    `{"jsonrpc":"2.0","id":7,"method":""}`,
		`{"jsonrpc":"2.0","id":1,"result":{},"result":{"a":1}}`: `{"jsonrpc":"2.0","id":1,"result":{"a":1}}`,
		`{"jsonrpc":"2.0","\u0069d":"x","error":{"code":1}}`: `{"jsonrpc":"2.0","id":"x",` +
			`"error":{"code":1,"message":""}}`,
		`[{"jsonrpc":"2.0","id":1,"result":2},7,{"jsonrpc":"2.0"}]`:    `{"jsonrpc":"2.0","id":1,"result":2}|bad|bad`,
		`[{"jsonrpc":"2.0","id":1,"result":2},`:                        `{"jsonrpc":"2.0","id":1,"result":2}|bad`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"a"}}`: `bad`,
		`{"jsonrpc":"2.0","id":true,"method":"a"}`:                     `bad`,
		`hello`: `bad`,
		``:      `bad`,
	} {
		var got []string
		Messages([]byte(in), func(raw []byte, env *Envelope) {
			got = append(got, string(raw))
			if (env.Method != nil) != strings.Contains(string(raw), `"method"`) {
				t.Errorf("%s: the envelope is %+v", in, env)
			}
		}, func([]byte, error) { got = append(got, "bad") })
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s\n gives %s\n want %s", in, s, want)
		}
	}
}

func TestAnswerID(t *testing.T) {
	for raw, want := range map[string]int64{`1`: 1, `"1"`: 1, `1.0`: 1, `1e3`: 1000, `-7`: -7, `"-7"`: -7} {
		if id, ok := (&Envelope{ID: []byte(raw)}).AnswerID(); !ok || id != want {
			t.Errorf("%s is %d, %v", raw, id, ok)
		}
	}
	for _, raw := range []string{``, `null`, `true`, `1.5`, `"1.0"`, `"a"`, `""`, `{}`, `1e300`} {
		if id, ok := (&Envelope{ID: []byte(raw)}).AnswerID(); ok {
			t.Errorf("%s is the id %d", raw, id)
		}
	}
	if _, ok := (&Envelope{ID: []byte(`1`), Method: []byte{}}).AnswerID(); ok {
		t.Error("a request is an answer")
	}
}
