package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// asking is an agent whose tool asks its caller and returns what became of it.
func asking(ended chan<- error) *foreign {
	dir := answering("a", nil)
	dir.Caller = agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		raw, err := c.Back.Request(ctx, agent.Request{Kind: agent.AskElicit,
			Params: json.RawMessage(`{"message":"m"}`)})
		ended <- err
		return agent.TextResult(fmt.Sprintf("%s %v", raw, err)), nil
	})
	return dir
}

const (
	canBeAsked = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"raw","version":"1"}}}`
	asks       = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a_t"}}`
)

// An asked is a client by hand, in the midst of a call that asks it.
type asked struct {
	t      *testing.T
	lines  *bufio.Scanner // what it is told
	id     string         // of the question
	answer func(body string)
	leave  func() // it closes what it is told on
}

// next is the next message with a text in it.
func (a *asked) next(having string) string {
	a.t.Helper()
	for a.lines.Scan() {
		if line := strings.TrimPrefix(a.lines.Text(), "data: "); strings.Contains(line, having) {
			return line
		}
	}
	a.t.Fatalf("%s did not come: %v", having, a.lines.Err())
	return ""
}

func (a *asked) question() {
	a.t.Helper()
	var q struct{ ID json.RawMessage }
	if err := json.Unmarshal([]byte(a.next("elicitation/create")), &q); err != nil {
		a.t.Fatal(err)
	}
	a.id = string(q.ID)
}

// open begins a request whose response is a stream.
func (a *asked) open(method, url string, header map[string]string, body string) {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	tr := &http.Transport{}
	res, err := tr.RoundTrip(r)
	if err != nil {
		a.t.Fatal(err)
	}
	a.leave = func() { cancel(); _ = res.Body.Close(); tr.CloseIdleConnections() }
	a.t.Cleanup(a.leave)
	a.lines = bufio.NewScanner(res.Body)
}

// asked makes the call over a transport. plain is false for a client that answers with a header
// that is not as it should be.
func (s *site) asked(t *testing.T, transport mcp.Transport, plain bool) (*asked, map[string]string) {
	t.Helper()
	a, header := &asked{t: t}, streamableHeaders(nil)
	switch transport {
	case mcp.Streamable:
		_, h, _ := send(t, "POST", s.url+"/mcp", header, canBeAsked)
		header[codec.SessionHeader] = h.Get(codec.SessionHeader)
		send(t, "POST", s.url+"/mcp", header, initialized)
		a.open("POST", s.url+"/mcp", header, asks)
		with := streamableHeaders(map[string]string{codec.SessionHeader: h.Get(codec.SessionHeader)})
		if !plain {
			with["Accept"] = "application/json"
		}
		a.answer = func(body string) {
			if status, _, text := send(t, "POST", s.url+"/mcp", with, body); status != http.StatusAccepted {
				t.Errorf("the answer: %d %s", status, text)
			}
		}
	case mcp.SSE:
		a.open("GET", s.url+"/sse", nil, "")
		endpoint := s.url + a.next("session_id")
		a.answer = func(body string) { send(t, "POST", endpoint, header, body) }
	case mcp.Stdio:
		pipes := fixture.SDKPipes(t, s.ServeStdio)
		a.lines = bufio.NewScanner(pipes.Reader)
		a.answer = func(body string) {
			if _, err := io.WriteString(pipes.Writer, body+"\n"); err != nil {
				t.Error(err)
			}
		}
	}
	if transport != mcp.Streamable {
		a.answer(canBeAsked)
		a.next(`"result"`)
		a.answer(initialized)
		a.answer(asks)
	}
	a.question()
	return a, header
}

// An answer whose id can be read ends its question, whatever else is wrong with it.
func TestAMalformedAnswerEndsItsQuestion(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{"error", `{"jsonrpc":"2.0","id":%s,"error":{"code":"x","message":5}}`, "an error without a message"},
		{"text", `{"jsonrpc":"2.0","id":%s,"error":"no"}`, "no"},
		{"NaN", `{"jsonrpc":"2.0","id":%s,"result":{"action":NaN}}`, "is not JSON"},
		{"neither", `{"jsonrpc":"2.0","id":%s}`, "neither a result nor an error"},
		{"action", `{"jsonrpc":"2.0","id":%s,"result":{"action":5}}`, `{\"action\":5}`}, // the asker's affair
		{"string", `{"jsonrpc":"2.0","id":%s,"result":"x"}`, "the client's answer is not as MCP has it: it is a string, and no object"},
		{"null", `{"jsonrpc":"2.0","id":%s,"result":null}`, "the client's answer is not as MCP has it: there is nothing"},
		{"quoted", `{"jsonrpc":"2.0","id":"%s","result":{"action":"decline"}}`, "decline"},
		{"header", `{"jsonrpc":"2.0","id":%s,"result":{"action":"decline"}}`, "decline"},
	} {
		for _, o := range []Options{{}, {NoFastPath: true}, {Limits: Limits{Resume: 1 << 20}}} {
			for _, transport := range []mcp.Transport{mcp.Streamable, mcp.SSE, mcp.Stdio} {
				t.Run(fmt.Sprintf("%s %s %v %d", c.name, transport, o.NoFastPath, o.Limits.Resume), func(t *testing.T) {
					ended := make(chan error, 1)
					s := newSite(t, asking(ended), GatewayOptions{Options: o})
					a, _ := s.asked(t, transport, c.name != "header")
					a.answer(fmt.Sprintf(c.answer, a.id))
					fixture.Receive(t, "the end of the question", ended)
					if got := a.next(`"id":7`); !strings.Contains(got, c.want) {
						t.Errorf("%s\nwant %s", got, c.want)
					}
				})
			}
		}
	}
}

// A client that goes away leaves no question behind.
func TestTheQuestionsOfAClientEndWithIt(t *testing.T) {
	for _, fast := range []bool{true, false} {
		for _, way := range []string{"response", "session", "sse"} {
			t.Run(fmt.Sprintf("%s %v", way, fast), func(t *testing.T) {
				ended := make(chan error, 1)
				s := newSite(t, asking(ended), GatewayOptions{Options: Options{NoFastPath: !fast}})
				transport := mcp.Streamable
				if way == "sse" {
					transport = mcp.SSE
				}
				a, header := s.asked(t, transport, true)
				if way == "session" {
					send(t, "DELETE", s.url+"/mcp", header, "")
				} else {
					a.leave()
				}
				err := fixture.Receive(t, "the end of the question", ended)
				if agent.CodeOf(err) != agent.CodeCanceled {
					t.Error(err)
				}
				if way == "response" && !strings.Contains(err.Error(), "the client is gone") {
					t.Error(err)
				}
			})
		}
	}
}
