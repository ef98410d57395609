package difftest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	interop "github.com/openmas/openmas/internal/interop/fixture"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/server"
)

// A host is a server that a client is connected to, over one transport.
type host struct {
	url     string // over HTTP
	address string // of a relay, over stdio
	fast    func() int64
}

// listen lets each connection to the address of a relay be served.
func listen(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // it ends accept
		serving.Wait()
	})
	return l.Addr().String()
}

// crew are the agents of all fixtures behind one gateway: those that the conformance suite and the
// programs of other SDKs call, and those of the tests of both ends.
func crew(t *testing.T, w way) host {
	var runs atomic.Int64
	agents := &fixture.Crew{}
	agents.Add(t, "conformance", (&interop.Conformance{}).Capabilities())
	agents.Add(t, "peer", (&interop.Peer{}).Capabilities())
	agents.Add(t, "echo", fixture.EchoCaps(fixture.NewProbe()))
	agents.Add(t, "other", fixture.OtherCaps())
	agents.Add(t, "quiz", fixture.Quizzer(&runs))
	agents.Add(t, "heads", fixture.Heading())
	g, err := server.NewGateway(agents, server.GatewayOptions{Options: options(w.fast)})
	if err != nil {
		t.Fatal(err)
	}
	h := host{fast: g.FastCalls}
	if w.transport == mcp.Stdio {
		h.address = listen(t, func(conn net.Conn) {
			_ = g.ServeStdio(context.Background(), conn, conn) // how it ends is up to the client
		})
		return h
	}
	srv := httptest.NewServer(g)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		if err := g.Drain(ctx); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	h.url = srv.URL
	return h
}

// foreign is a server that is made with the SDK alone.
func foreign(t *testing.T, w way) host {
	f := fixture.NewForeign()
	get := func(*http.Request) *sdk.Server { return f.Server }
	var handler http.Handler
	switch w.transport {
	case mcp.Stdio:
		return host{address: listen(t, func(conn net.Conn) {
			_ = f.Run(context.Background(), &sdk.IOTransport{Reader: conn, Writer: conn}) // as above
		})}
	case mcp.SSE:
		handler = sdk.NewSSEHandler(get, nil)
	default:
		handler = sdk.NewStreamableHTTPHandler(get, &sdk.StreamableHTTPOptions{Stateless: w.version == eraNewest})
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(func() { f.HangUp(srv) })
	return host{url: srv.URL}
}

// connect opens a session of our client.
func (w way) connect(t *testing.T, h host) *client.Session {
	target := client.Target{Name: "host", Transport: w.transport, URL: h.url}
	if w.version == eraNewest {
		target.Protocol = eraNewest
	}
	if w.transport == mcp.Stdio {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		target.Command = []string{exe}
		target.Env = map[string]string{relayVariable: h.address, "GORACE": testkit.NoExitSleep}
	}
	s, err := client.Connect(t.Context(), target, client.Options{Logger: quiet, NoFastPath: !w.fast, PingInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSession(s) })
	if got := s.ProtocolVersion(); got != w.version {
		t.Fatalf("the session speaks %s", got)
	}
	return s
}

// willing answers whatever it is asked, and writes it down.
type willing struct{ listener }

func (l *willing) Request(_ context.Context, r agent.Request) (json.RawMessage, error) {
	l.add("question %s %s", r.Kind, canon(r.Params))
	switch r.Kind {
	case agent.AskElicit:
		return accept(r.Params), nil
	case agent.AskSample:
		return json.RawMessage(`{"role":"assistant","model":"m","content":{"type":"text","text":"so"}}`), nil
	}
	return json.RawMessage(`{"roots":[{"uri":"file:///a","name":"a"}]}`), nil
}

// accept fills in the text and the yes or no that a question wants.
func accept(question json.RawMessage) json.RawMessage {
	var q struct {
		Schema struct {
			Properties map[string]struct {
				Type string   `json:"type"`
				Enum []string `json:"enum"`
			} `json:"properties"`
		} `json:"requestedSchema"`
	}
	_ = json.Unmarshal(question, &q) // what does not decode is not filled in
	content := map[string]any{}
	for name, p := range q.Schema.Properties {
		switch {
		case len(p.Enum) > 0:
			content[name] = p.Enum[0]
		case p.Type == "string":
			content[name] = "a " + name
		case p.Type == "boolean":
			content[name] = true
		}
	}
	return json.RawMessage(encode(map[string]any{"action": "accept", "content": content}))
}

// inputs are what a tool is called with, one after another; others get the common ones.
var inputs = map[string][]string{
	"peer_echo":  {`{"message":[1,2.50,9007199254740993,{"a":"<&>\u00e9"}]}`},
	"peer_add":   {`{"a":1,"b":2.5}`, `{"a":"x"}`},
	"peer_fail":  {`{"message":"no"}`},
	"peer_slow":  {`{"seconds":0.01}`},
	"peer_count": {`{"to":3}`},
	"peer_ask":   {`{"question":"why?"}`},
	"conformance_json_schema_2020_12_tool": {`{"name":"a","address":{"street":"s"},"contactMethod":"phone",` +
		`"phone":"1"}`, `{"contactMethod":"phone"}`},
	"conformance_test_sampling":     {`{"prompt":"hello"}`},
	"conformance_test_elicitation":  {`{"message":"who?"}`},
	"conformance_test_x_mcp_header": {`{"region":"eu","level":7}`, `{}`},
	"heads_where":                   {`{"city":"Bonn"}`},
	"ask":                           {`{"kind":"elicit","say":"who?"}`, `{"kind":"sample","say":"hm"}`, `{"kind":"roots"}`},
	"tell":                          {`{"progress":3,"log":2}`, `{}`},
}

// left out are tools that wait for their tests, or go on until a bound that depends on the version.
var leftOut = []string{"echo_wait", "quiz_endless", "hang", "die", "pid", "grow"}

// talk uses all that a session's server offers, and writes down what comes of it.
func talk(t *testing.T, s *client.Session) (said []string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	say := func(op agent.Op, name, input string) {
		l := &willing{}
		res, err := s.Call(ctx, &agent.Call{ID: "c", Op: op, Agent: "host", Name: name, Input: json.RawMessage(input),
			Attempt: 1, Back: l})
		slices.Sort(l.said) // two at once
		said = append(said, newEachTime.ReplaceAllString(fmt.Sprintf("%s %s %s: %s\n    %s", op, name, input,
			outcomeOf(res, err), strings.Join(l.said, "\n    ")), `$1…`))
	}
	info := s.Info()
	for _, tool := range info.Tools {
		if slices.Contains(leftOut, tool.Name) || strings.HasPrefix(tool.Name, "grown") {
			continue
		}
		with := inputs[tool.Name]
		if with == nil {
			with = []string{`{}`, `{"word":"w"}`, ``, `{"word":7}`}
		}
		for _, in := range with {
			say(agent.OpTool, tool.Name, in)
		}
	}
	say(agent.OpTool, "nobody_has_this", `{}`)
	for _, p := range info.Prompts {
		say(agent.OpPrompt, p.Name, `{"name":"Ada","who":"Ada","arg1":"1","arg2":"2","resourceUri":"test://a"}`)
		say(agent.OpPrompt, p.Name, ``)
		say(agent.OpComplete, p.Name, `{"argument":"name","value":"A","others":{"tone":"!"}}`)
	}
	for _, r := range info.Resources {
		say(agent.OpResource, r.Key(), ``)
		say(agent.OpResource, regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(r.Key(), "7"), ``)
	}
	say(agent.OpResource, "none://x", ``)
	return said
}

// newEachTime is what a tool says of itself and of its call.
var newEachTime = regexp.MustCompile(`(\\?"(?:left|id|root|client\.id|openmas/id)\\?":)(?:\d+|\\?"[^"\\]*\\?")`)

// Everything that the fixtures offer is the same with the fast path and without, on both ends at
// once. A foreign server knows nothing of either.
func TestFixturesSayTheSame(t *testing.T) {
	for kind, serve := range map[string]func(*testing.T, way) host{"crew": crew, "foreign": foreign} {
		for _, w := range []way{{transport: mcp.Stdio, version: eraLast}, {transport: mcp.Stdio, version: eraNewest},
			{transport: mcp.SSE, version: eraLast}, {transport: mcp.Streamable, version: eraLast},
			{transport: mcp.Streamable, version: eraNewest}} {
			if testing.Short() && w.transport == mcp.Stdio {
				continue // it starts processes
			}
			t.Run(fmt.Sprintf("%s %s", kind, w), func(t *testing.T) {
				t.Parallel()
				var both [2][]string
				for i := range both {
					w := w
					w.fast = i == 0
					h := serve(t, w)
					s := w.connect(t, h)
					both[i] = talk(t, s)
					if got := s.FastCalls(); got > 0 != w.fast {
						t.Errorf("fast path %v: %d calls of the client's took it", w.fast, got)
					}
					if h.fast != nil && h.fast() > 0 != w.fast {
						t.Errorf("fast path %v: %d calls of the server's took it", w.fast, h.fast())
					}
				}
				if len(both[0]) != len(both[1]) || len(both[0]) < 10 {
					t.Fatalf("%d and %d calls", len(both[0]), len(both[1]))
				}
				for i, with := range both[0] {
					if without := both[1][i]; with != without {
						t.Errorf("with the fast path\n  %s\nand without\n  %s", with, without)
					}
				}
			})
		}
	}
}
