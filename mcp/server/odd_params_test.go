package server

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// A talk is a client's session on some transport, by hand.
type talk struct {
	t    *testing.T
	say  func(msg string) string // what came at once: on streamable HTTP the answer
	next func(part string) string
}

// talks opens a session on a transport.
func (s *site) talks(t *testing.T, transport mcp.Transport) *talk {
	t.Helper()
	if transport == mcp.Streamable {
		c, last := s.dial(t, "", codec.Version20251125), ""
		return &talk{t, func(msg string) string {
			_, _, body := send(t, "POST", c.url, c.header, msg)
			last = body
			return body
		}, func(string) string { return last }}
	}
	a := &asked{t: t}
	var say func(msg string) string
	if transport == mcp.SSE {
		a.open("GET", s.url+"/sse", nil, "")
		endpoint := s.url + a.next("session_id")
		say = func(msg string) string {
			_, _, body := send(t, "POST", endpoint, streamableHeaders(nil), msg)
			return body
		}
	} else {
		pipes := fixture.SDKPipes(t, s.ServeStdio)
		a.lines = bufio.NewScanner(pipes.Reader)
		say = func(msg string) string {
			if _, err := io.WriteString(pipes.Writer, msg+"\n"); err != nil {
				t.Error(err)
			}
			return ""
		}
	}
	say(initialize)
	a.next(`"result"`)
	say(initialized)
	return &talk{t, say, a.next}
}

// request is the answer to a request with the id 7.
func (c *talk) request(method, params string) string {
	c.t.Helper()
	if params != "" {
		params = `,"params":` + params
	}
	c.say(`{"jsonrpc":"2.0","id":7,"method":"` + method + `"` + params + `}`)
	return c.next(`"id":7`)
}

// everyTransport calls do for each transport, with the fast path and without.
func everyTransport(t *testing.T, do func(t *testing.T, s *site, transport mcp.Transport)) {
	for _, fast := range []bool{true, false} {
		for _, transport := range []mcp.Transport{mcp.Streamable, mcp.SSE, mcp.Stdio} {
			t.Run(fmt.Sprintf("%s %v", transport, fast), func(t *testing.T) {
				dir := answering("a", func(*agent.Call) (*agent.Result, error) { return agent.TextResult("fine"), nil })
				do(t, newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: !fast}}), transport)
			})
		}
	}
}

// Params that are not as MCP has them are refused in words for people, whatever the request is, and
// cost nothing else.
func TestOddParamsAreRefusedInPlainWords(t *testing.T) {
	const none, invalid = "-32600", "-32602"
	tests := []struct{ method, params, code, want string }{
		{"initialize", `{"protocolVersion":5}`, invalid, "its protocolVersion is a number, not a string"},
		{"initialize", `[]`, invalid, "its params are a list, not an object"},
		{"initialize", `null`, invalid, "it has no params"},
		{"initialize", `{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}`, none,
			"initialized already"},
		{"ping", `[]`, invalid, "its params are a list, not an object"},
		{"ping", `{"_meta":"x"}`, invalid, "its _meta is a string, not an object"},
		{"tools/list", `{"cursor":5}`, invalid, "its cursor is a number, not a string"},
		{"prompts/list", `{"cursor":{}}`, invalid, "its cursor is an object, not a string"},
		{"resources/list", `{"cursor":true}`, invalid, "its cursor is a boolean, not a string"},
		{"resources/templates/list", `{"cursor":[]}`, invalid, "its cursor is a list, not a string"},
		{"tools/call", `["x"]`, invalid, "its params are a list, not an object"},
		{"tools/call", `"x"`, invalid, "its params are a string, not an object"},
		{"tools/call", `{"name":5}`, invalid, "its name is a number, not a string"},
		{"tools/call", `{"n\u0061me":5}`, invalid, "its name is a number, not a string"},
		{"tools/call", `{"name":"a_t","_meta":"x"}`, invalid, "its _meta is a string, not an object"},
		{"tools/call", `{"name":"a_t","requestState":5}`, invalid, "its requestState is a number, not a string"},
		{"tools/call", `{}`, invalid, `unknown tool \"\"`},
		{"tools/call", ``, none, "missing required"},
		{"tools/call", `null`, none, "missing required"},
		{"prompts/get", `{"name":5}`, invalid, "its name is a number, not a string"},
		{"prompts/get", `{"name":"a_p","arguments":{"x":5}}`, invalid, "its arguments are not an object of strings: x is a number"},
		{"prompts/get", `{"name":"a_p","arguments":"x"}`, invalid, "its arguments is a string, not an object of strings"},
		{"resources/read", `{"uri":[]}`, invalid, "its uri is a list, not a string"},
		{"resources/subscribe", `{"uri":5}`, invalid, "its uri is a number, not a string"},
		{"resources/unsubscribe", `{"uri":5}`, invalid, "its uri is a number, not a string"},
		{"logging/setLevel", `{"level":5}`, invalid, "its level is a number, not a string"},
		{"logging/setLevel", `{"level":"loud"}`, invalid, "MCP has no such log level"},
		{"completion/complete", `{"ref":"x","argument":5}`, invalid, "its ref is a string, not an object"},
		{"completion/complete", `{"ref":{},"argument":{}}`, invalid, "in its ref: it has no type"},
		{"completion/complete", `{"ref":{"type":"x"}}`, invalid, `the type of its ref is \"x\"`},
		{"completion/complete", `{"ref":{"type":"ref/prompt","uri":"x"}}`, invalid, "of a prompt, and has a uri"},
		{"completion/complete", `{"ref":{"type":"ref/prompt","name":"a_p"},"argument":{"name":5}}`, invalid,
			"in its argument: its name is a number, not a string"},
		{"completion/complete", `{"ref":{"type":"ref/prompt","name":"a_p"},"argument":{"name":"x"},"context":{"arguments":[]}}`,
			invalid, "in its context: its arguments is a list, not an object of strings"},
	}
	everyTransport(t, func(t *testing.T, s *site, transport mcp.Transport) {
		c := s.talks(t, transport)
		for _, tt := range tests {
			got := c.request(tt.method, tt.params)
			if !strings.Contains(got, `"code":`+tt.code+`,`) || !strings.Contains(got, tt.want) {
				t.Errorf("%s %s: %s\nwant %s %s", tt.method, tt.params, got, tt.code, tt.want)
			}
			for _, leak := range []string{"mcp.", "jsonrpc2", "unmarshal", "Go ", "openmas/odd"} {
				if strings.Contains(got, leak) {
					t.Errorf("%s %s: %s\nit has %q", tt.method, tt.params, got, leak)
				}
			}
		}
		if got := c.request("tools/call", `{"name":"a_t"}`); !strings.Contains(got, "fine") {
			t.Error(got)
		}
	})
}

// The first message of a connection need not be a handshake as MCP has it: another one follows.
func TestAHandshakeCanFailAndBeMadeAgain(t *testing.T) {
	everyTransport(t, func(t *testing.T, s *site, transport mcp.Transport) {
		if transport == mcp.Streamable {
			_, h, body := send(t, "POST", s.url+"/mcp", streamableHeaders(nil),
				`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":5}}`)
			if h.Get(codec.SessionHeader) != "" && len(s.Sessions()) != 0 || !strings.Contains(body, "-32602") {
				t.Error(h, body)
			}
		}
		s.talks(t, transport)
	})
}

// A notification that is not as MCP has it costs nothing but a line in the log.
func TestOddNotificationsCostThemselvesOnly(t *testing.T) {
	everyTransport(t, func(t *testing.T, s *site, transport mcp.Transport) {
		c := s.talks(t, transport)
		for _, n := range []string{`"method":"notifications/cancelled"`,
			`"method":"notifications/cancelled","params":null`, `"method":"notifications/cancelled","params":{"requestId":{}}`, `"method":"notifications/cancelled","params":[]`,
			`"method":"notifications/progress"`, `"method":"notifications/progress","params":{"progress":1}`,
			`"method":"notifications/progress","params":{"progressToken":[],"progress":"x"}`,
			`"method":"notifications/roots/list_changed","params":5`, `"method":"notifications/zzz","params":5`,
			`"method":"notifications/initialized","params":"x"`} {
			if got := c.say(`{"jsonrpc":"2.0",` + n + `}`); strings.Contains(got, "jsonrpc") {
				t.Errorf("%s is answered: %s", n, got)
			}
			if got := c.request("tools/call", `{"name":"a_t"}`); !strings.Contains(got, "fine") {
				t.Errorf("after %s: %s", n, got)
			}
		}
		testkit.Eventually(t, "a line for each", func() bool { // the fast path overtakes them
			return strings.Count(s.log.String(), "a notification is not as MCP has it") == 9
		})
		log := s.log.String()
		if strings.Contains(log, "level=WARN") || strings.Contains(log, "level=ERROR") {
			t.Error(log)
		}
	})
}

// A body that is no message, or more than one, is answered as JSON-RPC has it, in words for people.
func TestBodiesThatAreNoMessage(t *testing.T) {
	const parse, invalid = "-32700", "-32600"
	for _, fast := range []bool{true, false} {
		s := newSite(t, answering("a", nil), GatewayOptions{Options: Options{NoFastPath: !fast}})
		old, newest := s.dial(t, "", codec.Version20251125), s.dial(t, "", codec.Version20260728)
		for _, tt := range []struct{ body, code, want string }{
			{`{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}`, parse, "more follows the message"},
			{`{"jsonrpc":"2.0","id":1,"method":"ping"} x`, parse, "more follows the message"},
			{`{"jsonrpc":"2.0","id":NaN,"method":"ping"}`, parse, "it is not JSON: "},
			{`{"jsonrpc":"2.0","id":1,`, parse, "it is not JSON: "},
			{`5`, invalid, "it is no JSON object"},
			{`"x"`, invalid, "it is no JSON object"},
			{`{"jsonrpc":"2.0","id":1,"method":5}`, invalid, "its method is no string"},
			{`{"jsonrpc":"2.0","id":true,"method":"ping"}`, invalid, "its id is neither a string nor a number"},
			{`{"id":1,"method":"ping"}`, invalid, `it has no \"jsonrpc\": \"2.0\"`},
			{`{"jsonrpc":2.0,"id":1,"method":"ping"}`, invalid, `its jsonrpc is 2.0 and not \"2.0\"`},
		} {
			for _, c := range []*rawClient{old, newest} {
				status, h, got := send(t, "POST", c.url, c.header, tt.body)
				if status != 400 || h.Get("Content-Type") != "application/json" || !strings.HasPrefix(got,
					`{"jsonrpc":"2.0","id":null,"error":{"code":`+tt.code+`,`) || !strings.Contains(got, tt.want) {
					t.Errorf("%s, fast path %v, %s: %d %s", c.version, fast, tt.body, status, got)
				}
			}
		}
		if got := old.ask(t, "ping", `{}`); !strings.Contains(got, `"result"`) {
			t.Error(got)
		}
	}
}

// On stdio what stands on one line is read message by message; a POST of HTTP+SSE holds one.
func TestTwoMessagesOnOneLine(t *testing.T) {
	const two = `{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"a_t"}} {"jsonrpc":"2.0","id":7,"method":"ping"}`
	everyTransport(t, func(t *testing.T, s *site, transport mcp.Transport) {
		c := s.talks(t, transport)
		switch got := c.say(two); transport {
		case mcp.Stdio:
			both := c.next(`"id":`) + c.next(`"id":`)
			if !strings.Contains(both, `"id":7,"result"`) || !strings.Contains(both, `"id":8,"result"`) {
				t.Error(both)
			}
			c.say(`{"jsonrpc":"2.0","id":9,"method":"ping"} junk`)
			both = c.next(`"id":`) + c.next(`"id":`)
			if !strings.Contains(both, `"id":9,"result"`) || !strings.Contains(both, "-32700") {
				t.Error(both)
			}
		default:
			if !strings.Contains(got, "more follows the message") {
				t.Error(got)
			}
		}
		if got := c.request("tools/call", `{"name":"a_t"}`); !strings.Contains(got, "fine") {
			t.Error(got)
		}
	})
}

// An answer to a question that is none is named.
func TestOddInputResponsesAreNamed(t *testing.T) {
	for _, fast := range []bool{true, false} {
		s := newSite(t, answering("a", nil), GatewayOptions{Options: Options{NoFastPath: !fast}})
		for params, want := range map[string]string{
			`{"name":"a_t","inputResponses":{"a":5}}`: `inputResponses: the answer \"a\" is a number, and no object`,
			`{"name":"a_t","inputResponses":[1]}`:     "inputResponses: it is a list, and no object",
		} {
			got := s.ask(t, "", codec.Version20260728, "tools/call", params)
			if !strings.Contains(got, `"code":-32602,`) || !strings.Contains(got, want) {
				t.Errorf("fast path %v, %s: %s", fast, params, got)
			}
		}
	}
}

// A request with the id of one in flight is refused, in an answer without an id: with it, it would
// be taken for the answer to the first, which it does not cost.
func TestDuplicateIDsAreRefused(t *testing.T) {
	for _, fast := range []bool{true, false} {
		for _, transport := range []mcp.Transport{mcp.SSE, mcp.Stdio} {
			t.Run(fmt.Sprintf("%s %v", transport, fast), func(t *testing.T) {
				release, started := make(chan struct{}), make(chan struct{}, 1)
				dir := answering("a", func(*agent.Call) (*agent.Result, error) {
					started <- struct{}{}
					<-release
					return agent.TextResult("fine"), nil
				})
				c := newSite(t, dir, GatewayOptions{Options: Options{NoFastPath: !fast}}).talks(t, transport)
				for _, id := range []string{`7`, `"x"`, `1.50`} {
					call := `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"a_t"}}`
					c.say(call)
					fixture.Receive(t, "the call", started)
					for _, method := range []string{"tools/call", "ping"} {
						c.say(strings.Replace(call, "tools/call", method, 1))
						if got := c.next(`"error"`); !strings.Contains(got, `"id":null,"error":{"code":-32600,`) ||
							!strings.Contains(got, "the id "+strings.Trim(id, `"`)+" is that of a request") {
							t.Errorf("%s: %s", id, got)
						}
					}
					release <- struct{}{}
					if got := c.next(`"id"`); !strings.Contains(got, `"id":`+id+`,"result"`) {
						t.Errorf("%s: %s", id, got)
					}
					c.say(strings.Replace(call, "tools/call", "ping", 1)) // it can be used again
					if got := c.next(`"id"`); !strings.Contains(got, `"id":`+id+`,"result"`) {
						t.Errorf("%s: %s", id, got)
					}
				}
			})
		}
	}
}
