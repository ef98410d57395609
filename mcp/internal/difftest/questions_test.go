package difftest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// far is the directory of a gateway with one agent: a foreign server.
type far struct{ *client.Session }

func (f far) Agents() []agent.Info {
	info := f.Info()
	info.Name = "far"
	return []agent.Info{info}
}

func (f far) Agent(name string) (agent.Info, bool) { return f.Agents()[0], name == "far" }

var _ agent.Directory = far{}

// questions are what a foreign server asks, and a foreign client answers. want is what the client
// is asked, where that differs.
var questions = []struct{ method, params, want, answer string }{
	{"elicitation/create", `{"message":"<n\u00e9>","requestedSchema":{"type":"object","properties":{"b":{"type":"string",` +
		`"minLength":1.0,"default":"x","zz":[1e2]},"a":{"type":"weird","minimum":9007199254740993},"n":null},` +
		`"required":["b"]},"later":{"n":12345678901234567890},"_meta":{"k":1.0,"openmas/id":"forged"}}`,
		`{"message":"<n\u00e9>","requestedSchema":{"type":"object","properties":{"b":{"type":"string",` +
			`"minLength":1.0,"default":"x","zz":[1e2]},"a":{"type":"weird","minimum":9007199254740993},"n":null},` +
			`"required":["b"]},"later":{"n":12345678901234567890},"_meta":{"k":1.0}}`,
		`{"content":{"a":9007199254740993,"o":{"y":1.0,"x":["<\u00e9>"]}},"later":[1.50],"action":"accept","_meta":{"k":1.0}}`},
	{"elicitation/create", `{"message":5,"mode":"voice"}`, "", `{"action":"maybe","content":"x"}`},
	{"sampling/createMessage", `{"messages":[{"later":1.0,"role":"user","content":{"type":"text","text":"<hi>","k":1.0}},` +
		`{"content":[{"type":"text","text":"a"},{"mimeType":"image/png","type":"image","data":"aGk=","n":1e0}],` +
		`"role":"assistant"}],"maxTokens":10.0,"temperature":0.70,"metadata":{"b":1,"a":9007199254740993}}`, "",
		`{"stopReason":"tired","later":{"b":1,"a":1.0},"model":"m","content":[{"later":1.0,"type":"text","text":"t"},` +
			`{"type":"video","n":9007199254740993}],"role":"assistant"}`},
	{"sampling/createMessage", `{"messages":"x","maxTokens":"many"}`, "", `{"role":5}`},
	{"roots/list", `{"later":1.0,"_meta":{"k":9007199254740993}}`, "",
		`{"later":1.0,"roots":[{"name":"n","uri":"file:///x","later":1.0}],"_meta":{"k":1.0}}`},
}

// What a foreign server asks reaches a foreign client token for token, and so does the answer the
// server.
func TestQuestionsPassUntouched(t *testing.T) {
	for _, server := range []way{{transport: mcp.Stdio, version: eraLast}, {transport: mcp.SSE, version: eraLast},
		{transport: mcp.Streamable, version: eraLast}, {transport: mcp.Stdio, version: eraNewest},
		{transport: mcp.Streamable, version: eraNewest}} {
		if testing.Short() && server.transport == mcp.Stdio {
			continue // it starts processes
		}
		for _, fast := range []bool{true, false} {
			server.fast = fast
			t.Run(fmt.Sprintf("server %s, fast path %v", server, fast), func(t *testing.T) {
				t.Parallel()
				s, err := server.open(server.serve(t))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { closeSession(s) })
				for _, client := range []way{{transport: mcp.Stdio, version: eraLast},
					{transport: mcp.SSE, version: eraLast}, {transport: mcp.Streamable, version: eraLast},
					{transport: mcp.Stdio, version: eraNewest}, {transport: mcp.Streamable, version: eraNewest}} {
					client.fast = fast
					t.Run(fmt.Sprintf("client %s", client), func(t *testing.T) {
						c := client.joinGateway(t, newGateway(t, far{s}, fast), false)
						asked := map[string]int{}
						for i, q := range questions {
							asked[q.method]++
							q.want = cmp.Or(q.want, q.params)
							client.askedBy(t, c, 10*i+1, asked[q.method], q.method, q.params, q.want, q.answer)
						}
						c.finish()
					})
				}
			})
		}
	}
}

// askedBy makes a call in which the server asks, the nth time by a method.
func (w way) askedBy(t *testing.T, c rawClient, id, nth int, method, params, want, answer string) {
	t.Helper()
	args := fmt.Sprintf(`{"ask":{"method":%q,"params":%s}}`, method, params)
	call := func(id int, more string) {
		c.send(in(w.version, fmt.Sprintf(
			`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"far_do",$meta(),"arguments":%s%s}}`, id, args,
			more)))
	}
	call(id, "")
	if w.version == eraNewest {
		var res struct {
			Result struct {
				Requests map[string]question `json:"inputRequests"`
				State    string              `json:"requestState"`
			}
		}
		got := c.await(t, "the question", answered(fmt.Sprint(id)))
		if err := json.Unmarshal([]byte(got), &res); err != nil || len(res.Result.Requests) != 1 {
			t.Fatalf("%v: %s", err, got)
		}
		id++
		for key, q := range res.Result.Requests {
			same(t, "asked "+q.Method, string(q.Params), want)
			call(id, fmt.Sprintf(`,"requestState":%q,"inputResponses":{%q:%s}`, res.Result.State, key, answer))
		}
	} else {
		var q struct {
			ID     json.RawMessage
			Params json.RawMessage
		}
		got := c.awaitNth(t, "the question", nth, holds(`"method":"`+method+`"`))
		if err := json.Unmarshal([]byte(got), &q); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		same(t, "asked "+method, string(q.Params), want)
		c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, q.ID, answer))
	}
	var res struct {
		Result struct {
			Content struct{ Got map[string]json.RawMessage } `json:"structuredContent"`
		}
	}
	got := c.await(t, "the result", answered(fmt.Sprint(id)))
	if err := json.Unmarshal([]byte(got), &res); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	back := res.Result.Content.Got["result"]
	if back == nil {
		back = res.Result.Content.Got["q"] // of protocol 2026-07-28
	}
	same(t, "answered "+got, string(back), answer)
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if string(codec.Compact([]byte(got))) != string(codec.Compact([]byte(want))) {
		t.Errorf("%s\n got %s\nwant %s", what, got, want)
	}
}
