package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

const callLine = `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"_meta":{"progressToken":"p-17"},"name":"forecast","arguments":{"city":"Saint-Denis de la Réunion","days":5,"hourly":false,"units":{"temperature":"C","wind":"km/h"},"around":[-20.8789,55.4481,1.5e2]}}}`

func TestEnvelopeScan(t *testing.T) {
	deep := strings.Repeat("[", 512) + strings.Repeat("]", 512)
	for _, c := range []struct {
		name, msg string
		ok        bool
		want      Envelope
	}{
		{"call", `{"jsonrpc":"2.0","id":1,"method":"a/b","params":{"x":[1,{}]}}`, true,
			Envelope{ID: []byte("1"), Method: []byte("a/b"), Params: []byte(`{"x":[1,{}]}`)}},
		{"white space", " {\t\"jsonrpc\" : \"2.0\" ,\n\"id\" : \"x\" , \"result\" : [ ] }\r\n", true,
			Envelope{ID: []byte(`"x"`), Result: []byte("[ ]")}},
		{"error", `{"jsonrpc":"2.0","id":null,"error":{"code":-1}}`, true,
			Envelope{ID: []byte("null"), Error: []byte(`{"code":-1}`)}},
		{"unknown members", `{"jsonrpc":"2.0","ID":2,"x":{"id":3},"id":1,"result":0}`, true,
			Envelope{ID: []byte("1"), Result: []byte("0")}},
		{"empty method", `{"jsonrpc":"2.0","method":""}`, true, Envelope{Method: []byte{}}},
		{"deepest", `{"jsonrpc":"2.0","result":` + deep + `}`, true, Envelope{Result: []byte(deep)}},
		{"too deep", `{"jsonrpc":"2.0","result":[` + deep + `]}`, false, Envelope{}},
		{"id twice", `{"jsonrpc":"2.0","id":1,"id":2,"result":0}`, false, Envelope{}},
		{"escaped key", `{"jsonrpc":"2.0","\u0069d":1,"result":0}`, false, Envelope{}},
		{"escaped method", `{"jsonrpc":"2.0","id":1,"method":"tools\/call"}`, false, Envelope{}},
		{"method no string", `{"jsonrpc":"2.0","id":1,"method":5}`, false, Envelope{}},
		{"no version", `{"id":1,"result":0}`, false, Envelope{}},
		{"other version", `{"jsonrpc":"1.0","id":1,"result":0}`, false, Envelope{}},
		{"trailing", `{"jsonrpc":"2.0","id":1,"result":0} x`, false, Envelope{}},
		{"two", `{"jsonrpc":"2.0","id":1,"result":0}{}`, false, Envelope{}},
		{"batch", `[{"jsonrpc":"2.0","id":1,"result":0}]`, false, Envelope{}},
		{"bad literal", `{"jsonrpc":"2.0","id":1,"result":{"a":tru}}`, false, Envelope{}},
		{"bad number", `{"jsonrpc":"2.0","id":1,"result":[01]}`, false, Envelope{}},
		{"bad escape", `{"jsonrpc":"2.0","id":1,"result":"\x"}`, false, Envelope{}},
		{"bad unicode", `{"jsonrpc":"2.0","id":1,"result":"\u12g4"}`, false, Envelope{}},
		{"control character", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"a\tb\"}", false, Envelope{}},
		{"mismatched", `{"jsonrpc":"2.0","id":1,"result":[{]}}`, false, Envelope{}},
		{"trailing comma", `{"jsonrpc":"2.0","id":1,"result":[1,]}`, false, Envelope{}},
		{"unfinished", `{"jsonrpc":"2.0","id":1,"result":"ab`, false, Envelope{}},
		{"empty", ``, false, Envelope{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e Envelope
			if ok := e.Scan([]byte(c.msg)); ok != c.ok || ok && !reflect.DeepEqual(e, c.want) {
				t.Errorf("Scan(%.100s) = %v %s", c.msg, ok, []any{e})
			}
		})
	}
}

func TestEnvelopeScanDoesNotAllocate(t *testing.T) {
	msg := []byte(callLine)
	var e Envelope
	if n := testing.AllocsPerRun(100, func() {
		if !e.Scan(msg) {
			t.Fatal("not scanned")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzEnvelope holds the scanner to encoding/json, and the messages built from it to the SDK's
// decoder.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(callLine))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var e Envelope
		if !e.Scan(msg) {
			return
		}
		var m map[string]json.RawMessage
		if err := json.Unmarshal(msg, &m); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		method := e.Method
		if method != nil {
			method = append(append([]byte{'"'}, method...), '"')
		}
		for key, got := range map[string][]byte{"id": e.ID, "method": method, "params": e.Params, "result": e.Result,
			"error": e.Error} {
			if want, has := m[key]; has != (got != nil) || !bytes.Equal(got, want) {
				t.Errorf("%s: scanned %q, encoding/json %q", key, got, want)
			}
		}
		built := e.message()
		if built == nil {
			return
		}
		want, err := jsonrpc.DecodeMessage(bytes.Clone(msg))
		if err != nil {
			t.Fatalf("built %+v, but the SDK: %v", built, err)
		}
		if b, ok := built.(*jsonrpc.Request); ok {
			w, ok := want.(*jsonrpc.Request)
			// Where a string is not UTF-8, decoders differ in what they make of it.
			if !ok || b.ID != w.ID && validUTF8(e.ID) || b.Method != w.Method && validUTF8(e.Method) ||
				!bytes.Equal(b.Params, w.Params) {
				t.Errorf("built %+v, the SDK %+v", b, want)
			}
			return
		}
		b := built.(*jsonrpc.Response)
		w, ok := want.(*jsonrpc.Response)
		if !ok || b.ID != w.ID && validUTF8(e.ID) || !bytes.Equal(b.Result, w.Result) || w.Error != nil {
			t.Errorf("built %+v, the SDK %+v", b, want)
		}
	})
}

func validUTF8(b []byte) bool { return strings.ToValidUTF8(string(b), "") == string(b) }

func BenchmarkEnvelopeScan(b *testing.B) {
	msg := []byte(callLine)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	var e Envelope
	for b.Loop() {
		if !e.Scan(msg) {
			b.Fatal("not scanned")
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	msg := []byte(callLine)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e Envelope
			if _, err := decode(msg, &e, e.Scan(msg)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := jsonrpc.DecodeMessage(bytes.Clone(msg)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestMessages(t *testing.T) {
	for in, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"result":{}}`:                  `{"jsonrpc":"2.0","id":1,"result":{}}`,
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n0":             `{"jsonrpc":"2.0","method":"a"}`,
		`{"jsonrpc":"2.0","id":7,"method":null,"result":{}}`:    `{"jsonrpc":"2.0","id":7,"result":{}}`,
		`{"jsonrpc":"2.0","id":7,"method":null}`:                `{"jsonrpc":"2.0","id":7,"method":""}`,
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
