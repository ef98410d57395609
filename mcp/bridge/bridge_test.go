package bridge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/server"
)

// bridged is a client's session through a bridge to a URL. Its client asks for no version in
// particular: it tries the newest first, which has no handshake.
func bridged(t *testing.T, target client.Target, o *sdk.ClientOptions) (*sdk.ClientSession, func() error) {
	t.Helper()
	fromClient, toBridge := io.Pipe()
	fromBridge, toClient := io.Pipe()
	b, err := New(t.Context(), target, client.Options{}, fromClient, toClient)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- b.Run(context.Background()); _ = toClient.Close() }()
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "ide", Version: "1"}, o).Connect(t.Context(),
		&sdk.IOTransport{Reader: fromBridge, Writer: toBridge}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cs, func() error {
		_ = toBridge.Close()
		err := fixture.Receive(t, "the end of the bridge", ran)
		_ = cs.Close()
		return err
	}
}

func TestBridge(t *testing.T) {
	dir := &fixture.Crew{}
	dir.Add(t, "echo", agent.Capabilities{Tools: []agent.Tool{
		agent.NewTool("say", "", func(ctx context.Context, w fixture.Word) (string, error) {
			agent.Progress(ctx, 1, 2, "half")
			agent.Log(ctx, 0, "a line")
			return "you said " + w.Word, nil
		}),
		agent.NewTool("ask", "", func(ctx context.Context, _ fixture.Word) (string, error) {
			r, err := agent.Sample(ctx,
				agent.SampleRequest{MaxTokens: 1, Messages: []agent.SampleMessage{agent.UserMessage(agent.Text("?"))}})
			return r.Content.Text(), err
		}),
	}})
	for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		t.Run(string(tr), func(t *testing.T) {
			s := newSite(t, dir, server.Options{Identify: tokens})
			logs, changed := make(chan any, 10), make(chan bool, 10)
			cs, end := bridged(t, client.Target{Transport: tr, URL: s.url,
				Headers: map[string]string{"Authorization": "Bearer ann"}}, &sdk.ClientOptions{
				LoggingMessageHandler:  func(_ context.Context, r *sdk.LoggingMessageRequest) { logs <- r.Params.Data },
				ToolListChangedHandler: func(context.Context, *sdk.ToolListChangedRequest) { changed <- true },
				CreateMessageHandler: func(context.Context, *sdk.CreateMessageRequest) (*sdk.CreateMessageResult,
					error) {
					return &sdk.CreateMessageResult{Role: "assistant", Model: "m",
						Content: &sdk.TextContent{Text: "because"}}, nil
				},
			})
			if v := cs.InitializeResult().ProtocolVersion; v != codec.Version20251125 {
				t.Errorf("version %s", v)
			}
			if got := fixture.TextOf(
				fixture.CallTool(t, cs, "echo_say", fixture.Word{Word: "ü\n\"x\""})); got != "you said ü\n\"x\"" {
				t.Errorf("%q", got)
			}
			fixture.Receive(t, "a log line", logs)
			if got := fixture.TextOf(fixture.CallTool(t, cs, "echo_ask", fixture.Word{})); got != "because" {
				t.Errorf("what the server asks does not come through: %q", got)
			}
			if len(s.Sessions()) != 1 || s.Sessions()[0].Identity != "ann" {
				t.Errorf("%+v", s.Sessions())
			}
			other := &fixture.Crew{}
			other.Add(t, "more", fixture.OtherCaps())
			if err := end(); err != nil {
				t.Error(err)
			}
			testkit.Eventually(t, "the session on the server ends", func() bool { return len(s.Sessions()) == 0 })
		})
	}
}

// overBridge runs a bridge over some lines of a client, and returns what the client gets.
func overBridge(t *testing.T, target client.Target, in string) ([]map[string]any, error) {
	t.Helper()
	out := &testkit.Buffer{}
	b, err := New(t.Context(), target, client.Options{}, strings.NewReader(in), out)
	if err != nil {
		return nil, err
	}
	err = b.Run(t.Context())
	var got []map[string]any
	for sc := bufio.NewScanner(strings.NewReader(out.String())); sc.Scan(); {
		var m map[string]any
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			t.Fatalf("not JSON on one line: %s", sc.Text())
		}
		got = append(got, m)
	}
	return got, err
}

const hello = `{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}` + "\n"

func TestBridgeDeclinesTheNewestVersion(t *testing.T) {
	s := newSite(t, &fixture.Crew{}, server.Options{})
	request := func(id, method, version string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"method":%q,"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":%q}}}`+"\n", id, method, version)
	}
	got, err := overBridge(t, client.Target{Transport: mcp.Streamable, URL: s.url},
		request(`"d"`, "server/discover", codec.Version20260728)+
			hello+`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"+
			`{"jsonrpc":"2.0","id":2,"method":"ping"}`+"\n"+request("3", "tools/list", "2027-01-01"))
	if err != nil || len(got) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, m := range got {
		e, no := m["error"].(map[string]any)
		if declined := m["id"] == "d" || m["id"] == 3.0; no != declined {
			t.Errorf("%v", m)
		} else if m["id"] == "d" {
			if e["code"] != -32601.0 {
				t.Errorf("%v", m)
			}
		} else if data, _ := e["data"].(map[string]any); declined && (e["code"] != -32022.0 ||
			!strings.Contains(fmt.Sprint(data["supported"]), codec.Version20251125) ||
			strings.Contains(fmt.Sprint(data["supported"]),
				codec.Version20260728)) {
			t.Errorf("%v", m)
		}
	}
}

func TestBridgeAnswersWhatTheServerDoesNot(t *testing.T) {
	s := newSite(t, &fixture.Crew{}, server.Options{})
	// Everything is answered before the bridge ends, although the input ends first; a notification
	// without an answer is none.
	got, err := overBridge(t, client.Target{Transport: mcp.Streamable, URL: s.url},
		hello+`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n"+`{"jsonrpc":"2.0","id":2,"method":"ping"}`+
			"\n"+`{"jsonrpc":"2.0","id":3,"method":"nonsense"}`+"\n\n")
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, m := range got {
		if (m["error"] != nil) != (m["id"] == 3.0) {
			t.Errorf("%v", m)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"its own error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":"a","error":{"code":-7,"message":"in its words"}}`)
		},
		"a status": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "closed on sundays", http.StatusForbidden)
		},
		"no answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
		},
		"half an event": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {")
		},
		"nothing": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "application/json") },
	} {
		srv := httptest.NewServer(answer)
		got, err := overBridge(t, client.Target{Transport: mcp.Streamable, URL: srv.URL}, hello)
		srv.Close()
		if len(got) != 1 || got[0]["id"] != "a" || got[0]["error"] == nil {
			t.Errorf("%s: %v, %v", name, got, err)
		} else if e, _ := got[0]["error"].(map[string]any); name == "its own error" && e["message"] != "in its words" {
			t.Errorf("%s: %v", name, got)
		}
	}
	got, err = overBridge(t, client.Target{Transport: mcp.Streamable, URL: "http://127.0.0.1:1"}, hello)
	if len(got) != 1 || got[0]["error"] == nil {
		t.Errorf("nobody there: %v, %v", got, err)
	}
	if _, err = overBridge(t, client.Target{Transport: mcp.SSE, URL: "http://127.0.0.1:1/sse"}, hello); err == nil {
		t.Error("a session over SSE to nobody")
	}
	if _, err := New(t.Context(), client.Target{Transport: mcp.Stdio, Command: []string{"x"}}, client.Options{}, nil,
		nil); err == nil {
		t.Error("a bridge to a program")
	}
}

func TestBridgeEndsWithTheSession(t *testing.T) {
	for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		g, err := server.NewGateway(&fixture.Crew{}, server.GatewayOptions{})
		if err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(g)
		in, w := io.Pipe()
		b, err := New(t.Context(), client.Target{Transport: tr, URL: srv.URL}, client.Options{}, in, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- b.Run(context.Background()) }()
		go func() { _, _ = io.WriteString(w, hello+`{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n") }()
		testkit.Eventually(t, "a session", func() bool { s := g.Sessions(); return len(s) == 1 && s[0].Version != "" })
		ctx, cancel := context.WithTimeout(context.Background(), fixture.Patience)
		if err := g.Drain(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		if tr == mcp.Streamable { // which learns it with its next request
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":9,"method":"ping"}`+"\n")
			_ = w.Close()
		}
		select {
		case err := <-ran:
			if err == nil && tr == mcp.SSE {
				t.Error("a lost session is an error")
			}
		case <-time.After(fixture.Patience):
			t.Error("the bridge hangs")
		}
		_ = w.Close()
		srv.Close()
	}
}

// untilEOF closes ended when all was read.
type untilEOF struct {
	io.Reader
	ended chan struct{}
}

func (r untilEOF) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil {
		close(r.ended)
	}
	return n, err
}

// What is in flight when the input ends is answered, over SSE too, where answers come on the
// stream.
func TestBridgeAnswersWhatIsInFlight(t *testing.T) {
	for _, tr := range []mcp.Transport{mcp.SSE, mcp.Streamable} {
		ended := make(chan struct{})
		dir := &fixture.Crew{}
		dir.Add(t, "echo", agent.Capabilities{Tools: []agent.Tool{
			agent.NewTool("late", "", func(context.Context, fixture.Word) (string, error) { <-ended; return "late", nil })}})
		s := newSite(t, dir, server.Options{})
		url := s.url + map[mcp.Transport]string{mcp.SSE: "/sse", mcp.Streamable: "/mcp"}[tr]
		in := untilEOF{strings.NewReader(hello + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n" +
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo_late","arguments":{"word":"x"}}}` + "\n"),
			ended}
		var out bytes.Buffer
		b, err := New(t.Context(), client.Target{Transport: tr, URL: url}, client.Options{}, in, &out)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Run(t.Context()); err != nil || !strings.Contains(out.String(), `"id":2,"result"`) {
			t.Errorf("%s: %v\n%s", tr, err, &out)
		}
	}
}
