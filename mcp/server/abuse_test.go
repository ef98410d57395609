package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// What clients send to a foreign tool that no well-behaved one would: the tool gets it as it came,
// or the client an error; the session lives on. With the fast path and without it is the same.
func TestAbusiveCalls(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	large := strings.Repeat("x", 10<<20)
	const id = `"id":9`
	for _, c := range []struct {
		name, id, args string
		got            string // by the tool; empty: it is not called
		answer         string // a part of it
		status         int    // 0: 200
	}{
		{"an id over 2^53", `9007199254740993`, `{}`, `{}`, `"id":9007199254740993`, 0},
		{"an id over 2^64", `123456789012345678901234567890`, `{}`, `{}`, `"id":123456789012345678901234567890`, 0},
		{"an id with a fraction", `1.50`, `{}`, `{}`, `"id":1.50`, 0},
		{"an id of escapes", `"\u00e9\/"`, `{}`, `{}`, `"id":"\u00e9\/"`, 0},
		{"numbers over 2^53", `9`, `{"n":9007199254740993,"m":1e999,"z":-0,"f":1.0}`,
			`{"n":9007199254740993,"m":1e999,"z":-0,"f":1.0}`, id, 0},
		{"a name twice", `9`, `{"a":1,"a":2}`, `{"a":1,"a":2}`, id, 0},
		{"names of other languages", `9`, `{"":1,"__proto__":{},"constructor":null}`,
			`{"":1,"__proto__":{},"constructor":null}`, id, 0},
		{"half a surrogate pair", `9`, `{"a":"\ud800"}`, `{"a":"\ud800"}`, id, 0},
		{"no UTF-8", `9`, "{\"a\":\"\xff\xfe\"}", "", "-32700", 400},
		{"deep", `9`, `{"a":` + deep(500) + `}`, `{"a":` + deep(500) + `}`, id, 0},
		{"too deep", `9`, `{"a":` + deep(100_000) + `}`, "", "", 400},
		{"large", `9`, `{"a":"` + large + `"}`, "", "", 413},
		{"NaN", `9`, `{"a":NaN}`, "", "", 400},
		{"infinite", `9`, `{"a":-Infinity}`, "", "", 400},
		{"a comment", `9`, `{"a":1/**/}`, "", "", 400},
		{"a text for arguments", `9`, `"x"`, "", "invalid_argument", 0},
		{"a list for arguments", `9`, `[1]`, "", "invalid_argument", 0},
		{"a number for arguments", `9`, `5`, "", "invalid_argument", 0},
		{"null for arguments", `9`, `null`, `null`, id, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, version := range []string{codec.Version20250326, codec.Version20251125} {
				var answers []string
				for _, fast := range []bool{true, false} {
					status, answer, got := abuse(t, version, fast, c.id, c.args)
					answers = append(answers, answer)
					if want := max(c.status, 200); status != want && (c.status > 0) == (status == 200) ||
						got != c.got || !strings.Contains(answer, c.answer) {
						t.Errorf("%s, fast path %v: %d %.300s; the tool got %.300q", version, fast, status, answer, got)
					}
				}
				if answers[0] != answers[1] {
					t.Errorf("%s: with the fast path\n%.300s\nand without\n%.300s", version, answers[0], answers[1])
				}
			}
		})
	}
}

// abuse calls a tool, and after it once more.
func abuse(t *testing.T, version string, fast bool, id, args string) (status int, answer, got string) {
	t.Helper()
	var mu sync.Mutex
	var inputs []string
	dir := answering("a", nil)
	dir.Caller = agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		mu.Lock()
		defer mu.Unlock()
		inputs = append(inputs, string(c.Input))
		return codec.DecodeToolResult(json.RawMessage(`{"content":[]}`), false)
	})
	s := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: !fast}})
	c := s.dial(t, "", version)
	call := func(id, args string) (int, string) {
		status, _, body := send(t, "POST", c.url, c.header,
			fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"a_t","arguments":%s}}`, id, args))
		if i := strings.LastIndex(body, "\ndata: "); i >= 0 {
			body = body[i+len("\ndata: "):]
		}
		return status, strings.TrimSpace(body)
	}
	status, answer = call(id, args)
	mu.Lock()
	got = strings.Join(inputs, " and ")
	mu.Unlock()
	if _, after := call("77", `{"last":1}`); !strings.Contains(after, `"id":77,"result"`) {
		t.Errorf("the next call is answered with %.300s", after)
	}
	if log := s.log.String(); strings.Contains(log, "panic") {
		t.Error(log)
	}
	return status, answer, got
}
