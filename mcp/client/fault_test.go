package client

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
)

// TestHandshakeFaults: the error of a handshake on stdio names what went wrong.
func TestHandshakeFaults(t *testing.T) {
	const hello = `{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},` +
		`"serverInfo":{"name":"raw","version":"1"}}}`
	for name, tc := range map[string]struct {
		answers map[string]string
		reason  Reason
		code    agent.Code
		says    string
	}{
		"another version": {map[string]string{"initialize": strings.ReplaceAll(hello, "2025-06-18", "1999-01-01")},
			ReasonVersion, agent.CodeUnimplemented,
			`it chose protocol version "1999-01-01", which openmas does not know`},
		"no version": {map[string]string{"initialize": strings.ReplaceAll(hello, "2025-06-18", "")},
			ReasonVersion, agent.CodeUnimplemented, `its answer to initialize names no protocol version`},
		"a jsonrpc that is a number": {map[string]string{"initialize": strings.ReplaceAll(hello, `"2.0"`, "2.0")},
			ReasonNotMCP, agent.CodeUnimplemented, `its jsonrpc is 2.0 and not "2.0"`},
		"version refused": {map[string]string{"initialize": `{"jsonrpc":"2.0","id":ID,"error":{"code":-32022,` +
			`"message":"Unsupported protocol version","data":{"supported":["2024-10-07"],"requested":"2025-11-25"}}}`},
			ReasonVersion, agent.CodeUnimplemented,
			`it refused protocol version 2025-11-25: Unsupported protocol version`},
		"error": {map[string]string{"initialize": `{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,` +
			`"message":"the licence has run out"}}`},
			ReasonError, agent.CodeUnavailable, `it answered initialize with error -32603: the licence has run out`},
		"not decodable": {map[string]string{"initialize": `{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":5}}`},
			ReasonNotMCP, agent.CodeUnimplemented, "its answer to initialize does not decode: "},
		"not an object": {map[string]string{"initialize": `{"jsonrpc":"2.0","id":ID,"result":"hello"}`},
			ReasonNotMCP, agent.CodeUnimplemented, "its answer to initialize does not decode: "},
		"no result": {map[string]string{"initialize": `{"jsonrpc":"2.0","id":ID}`},
			ReasonNotMCP, agent.CodeUnimplemented, "its answer to initialize does not decode: "},
		"list fails": {map[string]string{"initialize": hello, "tools/list": `{"jsonrpc":"2.0","id":ID,"error":` +
			`{"code":-32000,"message":"no database"}}`},
			ReasonError, agent.CodeUnavailable, `it answered tools/list with error -32000: no database`},
		"list not decodable": {map[string]string{"initialize": hello,
			"tools/list": `{"jsonrpc":"2.0","id":ID,"result":{"tools":7}}`},
			ReasonNotMCP, agent.CodeUnimplemented,
			"its answer to tools/list does not decode: the result's tools are a number, not a list"},
		"list is no JSON": {map[string]string{"initialize": hello,
			"tools/list": `{"jsonrpc":"2.0","id":ID,"result":{"tools":[{"name":"a","inputSchema":{"maximum":NaN}}`},
			ReasonNotMCP, agent.CodeUnimplemented, "its answer to tools/list does not decode: "},
		"no version of JSON-RPC": {map[string]string{"initialize": strings.Replace(hello, `"jsonrpc":"2.0",`, "", 1)},
			ReasonNotMCP, agent.CodeUnimplemented, "its answer to initialize does not decode: "},
		"ends": {map[string]string{"initialize": "exit"},
			ReasonExited, agent.CodeUnavailable, "exited with code 4 before it answered initialize"},
		"ends well": {map[string]string{"initialize": "leave"},
			ReasonExited, agent.CodeUnavailable, ") exited with code 0 before it answered initialize"},
		"ends at the list": {map[string]string{"initialize": hello, "tools/list": "exit"},
			ReasonExited, agent.CodeUnavailable, "exited with code 4 before it answered tools/list"},
		"not MCP's encoding": {map[string]string{"initialize": "{\x00\"\x00j\x00"}, ReasonNotMCP, agent.CodeUnimplemented,
			"it is UTF-16, and MCP is UTF-8"},
		"another protocol": {map[string]string{"initialize": "220 ready"}, ReasonTimeout, agent.CodeUnavailable,
			"(start.timeout); lines of its output that are no MCP messages: 1 (see the log)"},
		"silent": {nil, ReasonTimeout, agent.CodeUnavailable,
			"it did not answer initialize within TIMEOUT (start.timeout)"},
		"silent at the list": {map[string]string{"initialize": hello}, ReasonTimeout, agent.CodeUnavailable,
			"it answered initialize, and did not answer tools/list within TIMEOUT (start.timeout)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := role(t, "raw", mcp.Stdio)
			raw, err := json.Marshal(tc.answers)
			if err != nil {
				t.Fatal(err)
			}
			target.Env[rawVariable] = string(raw)
			says := tc.says
			o := Options{Logger: fixture.Quiet, TimeoutKey: "start.timeout", HandshakeTimeout: time.Minute}
			connect := func() error {
				t.Helper()
				s, err := Connect(t.Context(), target, o)
				if err == nil {
					_ = s.Close(t.Context())
					t.Fatal("connected")
				}
				return err
			}
			if tc.reason == ReasonTimeout {
				testkit.Longer(t, "a timeout", 300*time.Millisecond, func(d time.Duration) bool {
					o.HandshakeTimeout, tc.says = d, strings.ReplaceAll(says, "TIMEOUT", d.String())
					err = connect()
					return strings.Contains(err.Error(), tc.says) // a busy machine may not come so far
				})
			} else {
				err = connect()
			}
			fixture.WantError(t, err, tc.code, true)
			var ce *ConnectError
			if !errors.As(err, &ce) || ce.Reason != tc.reason || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v\nwant reason %q and %q", err, tc.reason, tc.says)
			}
			if n := strings.Count(err.Error(), "(pid "); n > 1 {
				t.Errorf("%v: the pid %d times", err, n)
			}
			want := map[string]string{"another protocol": "220 ready"}[name]
			if got := LastUnread(err); got != want || want != "" && strings.Contains(err.Error(), want) {
				t.Errorf("the last line that is no message: %q", got)
			}
			if lines := LastLines(err); len(lines) != 1 || strings.Contains(err.Error(), lines[0]) {
				t.Errorf("the last lines: %q", lines)
			}
		})
	}
}

// An answer that is not JSON, or whose error is none of JSON-RPC's, fails its call at once and with
// the reason. The session goes on.
func TestAnswersThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct{ answer, says string }{
		"NaN": {`{"result":{"content":[],"structuredContent":{"v":NaN}}}`, "the answer cannot be " +
			"understood: "},
		"cut short":              {`{"result":{"content":[{"type":"te`, "the answer cannot be understood: "},
		"a text":                 {`{"error":"it broke"}`, "it broke"},
		"no message":             {`{"error":{"code":-32000}}`, `an error without a message: {"code":-32000}`},
		"a message that is null": {`{"error":{"code":-32001,"message":null,"data":"no database"}}`, "-32001"},
		"a code that is a text":  {`{"error":{"code":"E_FAIL","message":"it broke"}}`, `it broke (code "E_FAIL")`},
		"a fraction for a code":  {`{"error":{"code":1.5,"message":"it broke"}}`, `it broke (code 1.5)`},
		"no object at all":       {`{"error":[7]}`, "an error without a message: [7]"},
		"a request as well":      {`{"method":"tools/call","result":{"content":[]}}`, "a request and an answer at once"},
		"an error and a request": {`{"method":"ping","params":{},"error":{"code":-1,"message":"m"}}`,
			"a request and an answer at once"},
		"all members": {`{"method":null,"params":null,"result":null,"error":{"code":-1,"message":"it broke"}}`, "it broke"},
	} {
		for way, connect := range map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio,
			"http": (*raw).http} {
			for _, off := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%v", name, way, !off), func(t *testing.T) {
					r := newRaw(map[string]string{"tools/call": tt.answer})
					s := connect(r, t, Options{NoFastPath: off})
					_, err := call(t.Context(), s, "good", nil, nil)
					if agent.CodeOf(err) != agent.CodeInternal || !strings.Contains(err.Error(), tt.says) {
						t.Error(err)
					}
					r.set("tools/call", `{"result":{"content":[{"type":"text","text":"fine"}]}}`)
					if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
						t.Error(got)
					}
				})
			}
		}
	}
}

// Over HTTP an error that names no request answers the POST whose response it is.
func TestErrorsThatNameNoRequest(t *testing.T) {
	for name, id := range map[string]string{"null": `"id":null,`, "none": "", "empty": `"id":"",`, "zero": `"id":0,`,
		"negative": `"id":-1,`, "a word": `"id":"server-error",`} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, !off), func(t *testing.T) {
				r := newRaw(map[string]string{"tools/call": `={"jsonrpc":"2.0",` + id +
					`"error":{"code":-32000,"message":"the backend is down"}}`})
				s := r.http(t, Options{NoFastPath: off})
				_, err := call(t.Context(), s, "good", nil, nil)
				if agent.CodeOf(err) != agent.CodeInternal || !strings.Contains(err.Error(), "the backend is down") {
					t.Error(err)
				}
			})
		}
	}
}

// An answer over the limit fails its own call, and says which limit that is. The session goes on.
func TestAnswersOverTheLimit(t *testing.T) {
	const limit = 64 << 10
	text := strings.Repeat("x", limit+1)
	first := `={"jsonrpc":"2.0","id":$id,"result":{"content":[{"type":"text","text":"` + text + `"}]}}`
	last := `={"result":{"content":[{"type":"text","text":"` + text + `"}]},"jsonrpc":"2.0","id":$id}`
	ways := map[string]func(*raw, *testing.T, Options) *Session{"stdio": (*raw).stdio, "http": (*raw).http}
	for name, tt := range map[string]struct{ way, answer string }{
		"the id first":              {"stdio", first},
		"the id last":               {"stdio", last},
		"an answer of its own":      {"http", first},
		"with another id":           {"http", strings.Replace(first, "$id", `"x"`, 1)},
		"an event":                  {"http", "=data: " + last[1:]},
		"an event of several lines": {"http", "=data: {\ndata: " + last[2:]},
	} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%s/%v", tt.way, name, !off), func(t *testing.T) {
				r := newRaw(map[string]string{"tools/call": tt.answer})
				s := ways[tt.way](r, t, Options{NoFastPath: off, MaxFrame: limit, FrameKey: "mcp.max_frame"})
				_, err := call(t.Context(), s, "good", nil, nil)
				if fixture.WantError(t, err, agent.CodeResourceExhausted, false); !strings.Contains(err.Error(),
					"the answer has more than 65536 bytes, the limit (mcp.max_frame)") {
					t.Error(err)
				}
				r.set("tools/call", `{"result":{"content":[{"type":"text","text":"fine"}]}}`)
				if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
					t.Error(got)
				}
			})
		}
	}
	// A list of tools that is too large costs the list, and says so.
	for way, connect := range ways {
		r := newRaw(map[string]string{"tools/list": `{"result":{"tools":[{"name":"` + text + `"}]}}`})
		offered, left := names(connect(r, t, Options{MaxFrame: limit, FrameKey: "mcp.max_frame"}))
		if len(offered) != 3 || len(left) != 1 || left[0].Name != "tools/list" ||
			!strings.Contains(left[0].Reason, "(mcp.max_frame)") {
			t.Errorf("%s: %q, %+v", way, offered, left)
		}
	}
}

// What a server prints beside messages, or in another form, costs nothing but itself.
func TestWhatServersPrint(t *testing.T) {
	const hello = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}`
	for name, tt := range map[string]struct{ before, after string }{
		"a byte order mark":     {"\xef\xbb\xbf", "\n"},
		"a banner":              {"starting... ", "\n"},
		"no end of the line":    {"", ""},
		"a banner and no end":   {"starting... ", ""},
		"2,000 lines":           {strings.Repeat("INFO processing\n", 2000), "\n"},
		"headers":               {"Content-Length: 100\r\n\r\n", ""},
		"two messages a line":   {"", `{"jsonrpc":"2.0","method":"notifications/x"}` + "\n"},
		"a list of its objects": {"[\n", ",\n]\n"},
	} {
		for _, off := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, !off), func(t *testing.T) {
				t.Parallel() // some wait
				near, far := pipes(t)
				go func() {
					r := newRaw(map[string]string{"initialize": `{"result":` + hello + `}`})
					for sc := bufio.NewScanner(far.Reader); sc.Scan(); {
						if text := r.answer(sc.Bytes()); text != "" {
							_, _ = io.WriteString(far.Writer, tt.before+text+tt.after) // fails when the test is over
						}
					}
				}()
				s := overPipes(t, near, Target{Name: "raw"}, Options{NoFastPath: off, PingInterval: -1})
				for range 2 {
					if got := mustCall(t, s, "good", nil, nil).Text(); got != "fine" {
						t.Error(got)
					}
				}
			})
		}
	}
}
