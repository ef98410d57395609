package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestDamagedAnswers(t *testing.T) {
	for msg, want := range map[string]string{
		`{"jsonrpc":"2.0","id":7,"result":{"v":NaN}}`:              "7",
		`{"result":{"v":[1,Infinity,{"id":1}]},"id":"7"}`:          `"7"`,
		`{"jsonrpc":"2.0","id":7.0,"result":{"content":[`:          "7.0",
		`{"jsonrpc":"2.0","id":7,"result":{"text":"cut o`:          "7",
		`{"jsonrpc":"2.0","id":7,"error":{"code":undefined}}`:      "7",
		`{"jsonrpc":"2.0","result":{"id":1,"a":"}\""} x,"id" : 7}`: "7",
		`{"jsonrpc":"2.0","id":7,"result":{}} trailing`:            "7",
		`{"id":7,"result":{}}`:                                     "7",
		`{"level":"info","id":7,"error":"boom",}`:                  "", // a line of a log
		`{"jsonrpc":"2.0","id":7,"method":"ping","result":NaN}`:    "", // a request
		`{"jsonrpc":"2.0","id":7`:                                  "",
		`{"jsonrpc":"2.0","id":{"a":1},"result":NaN}`:              "",
		`{"jsonrpc":"2.0","result":NaN,"id":`:                      "",
		`{"jsonrpc":"2.0","result":NaN,"id":"7`:                    "",
		`INFO {"jsonrpc":"2.0","id":7,"result":NaN}`:               "",
		`{`: "", `"`: "", ``: "", `{"`: "",
	} {
		var e Envelope
		why := errors.New("the decoder's reason")
		if ok := e.Damaged([]byte(msg), why); ok != (want != "") || string(e.ID) != want {
			t.Errorf("%s: %v, %s", msg, ok, e.ID)
			continue
		}
		if want == "" {
			continue
		}
		_, err := e.ReadAnswer()
		if bad := (*AnswerError)(nil); !errors.As(err, &bad) {
			t.Errorf("%s: it reads as %v", msg, err)
		}
	}
	var e Envelope
	e.Damaged([]byte(`{"jsonrpc":"2.0","id":7,"result":{"v":NaN}}`), nil)
	_, err := e.ReadAnswer()
	for _, part := range []string{"not JSON", "'N'", "byte 39", `{\"v\":NaN}}`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %s in %v", part, err)
		}
	}
}

func TestMendAnswers(t *testing.T) {
	for in, want := range map[string]string{
		`{"jsonrpc":"2.0","id":7,"result":[1.0]}`:                          `{"jsonrpc":"2.0","id":7,"result":[1.0]}`,
		`{"jsonrpc":"2.0","id":"7","error":{"code":-1,"message":"away"}}`:  `{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"away"}}`,
		`{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"a","x":1}}`: `{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"a"}}`,
		`{"jsonrpc":"2.0","id":7,"error":"no"}`:                            `{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"no"}}`,
		`[{"jsonrpc":"2.0","id":7.0,"error":"no"},{"jsonrpc":"2.0","id":8,"result":{}}]`: `[{"jsonrpc":"2.0","id":7,` +
			`"error":{"code":-32603,"message":"no"}},{"jsonrpc":"2.0","id":8,"result":{}}]`,
		`[{"jsonrpc":"2.0","id":7,"result":{}},{"jsonrpc":"2.0","id":8,"method":"ping"}]`: "",
		`[{"jsonrpc":"2.0","id":7,"result":{}},`:                                          "",
		`{"jsonrpc":"2.0","id":7,"method":"ping"}`:                                        "",
		`{"jsonrpc":"2.0","method":"ping"}`:                                               "",
		`{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"away"}}`:                "",
		`[]`: "", `[7]`: "", `x`: "", ``: "",
	} {
		if got, ok := MendAnswers([]byte(in), nil); ok != (want != "") || ok && string(got) != want {
			t.Errorf("%s\n gives %s %v\n want  %s", in, got, ok, want)
		}
	}
}
