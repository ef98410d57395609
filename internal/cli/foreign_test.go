package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/runtime"
)

// foreignServer is a server without an SDK: tools that would have one name on the gateway, one that
// nobody can read, one that steers terminals, and no prompts although it says so.
func foreignServer(t *testing.T) (url string) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			ID     json.RawMessage
			Method string
			Params struct{ Name string }
		}
		body, err := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || err != nil || json.Unmarshal(body, &m) != nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if m.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		answer := `"error":{"code":-32603,"message":"out of order"}`
		switch m.Method {
		case "initialize":
			answer = `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"prompts":{}},"serverInfo":{"name":"f","version":"1"}}`
		case "tools/list":
			answer = `"result":{"tools":[{"name":"user.get","description":"dot","inputSchema":{"type":"object"}},{"name":"user_get","inputSchema":{"type":"object"}},{"name":"wrong","inputSchema":{"type":"object","properties":{"count":{}}}},` +
				`{"name":"获取天气","inputSchema":{"type":"object","properties":{"z":{"const":9007199254740993},"a":{}}}},` +
				`{"name":"bad","icons":["x"]},{"name":"evil\u001b[2J\u202e","inputSchema":{}}]}`
		case "tools/call":
			switch m.Params.Name {
			case "usr_get":
				answer = `"result":{"isError":true,"content":[{"type":"text","text":"Unknown tool: 'usr_get'"}]}`
			case "user_gt":
				answer = `"error":{"code":-32602,"message":"Unknown tool: user_gt"}`
			case "wrong":
				answer = `"result":{"isError":true,"content":[{"type":"text","text":"2 errors:\nit needs count"}]}`
			}
			if strings.Contains("usr_get user_gt wrong", m.Params.Name) {
				break
			}
			answer = fmt.Sprintf(`"result":{"content":[{"type":"text","text":%q},{"type":"video","n":9007199254740993}],"structuredContent":{"n":9007199254740993},"more":1.0}`, m.Params.Name)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,%s}`, m.ID, answer)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// What a foreign server lists and nobody can use is listed with the reason. Its tools go by their
// own names and by those on the gateway. Results are printed as they came.
func TestForeignServers(t *testing.T) {
	url := foreignServer(t)
	project := projectFile(t, "agents: {a: {url: "+url+"/mcp, communicator: mcp-http}}")
	list := func(flags ...string) (text string, l runtime.Listing) {
		r := run(t, "", append([]string{"list"}, flags...)...)
		if r.code != exitOK || strings.Contains(r.out, "\x1b") {
			t.Errorf("list: %+v", r)
		}
		j := run(t, "", append([]string{"list", "--json"}, flags...)...)
		if err := json.Unmarshal([]byte(j.out), &l); err != nil || !strings.Contains(j.out, "9007199254740993") {
			t.Errorf("list --json: %v, %+v", err, j)
		}
		return r.out, l
	}
	for _, flags := range [][]string{{"--project", project}, {"--url", url}} {
		text, l := list(flags...)
		for _, want := range []string{"left out: tool bad", "its icons are not a list of objects", "获取天气(z?, a?)",
			"left out: list prompts/list", "out of order", `evil\x1b[2J\u202e`} {
			if !strings.Contains(text, want) {
				t.Errorf("%v: no %q in\n%s", flags, want, text)
			}
		}
		if left := l.Agents[0].LeftOut; len(l.Agents[0].Tools) != 5 || len(left) != 2 ||
			left[0] != (agent.LeftOut{Kind: "tool", Name: "bad", Reason: "its icons are not a list of objects: one " +
				"is a string"}) {
			t.Errorf("%v: %+v", flags, l.Agents[0])
		}
	}
	text, l := list("--project", project)
	exported := l.GatewayNames["a"]
	if len(exported) != 3 || exported["user_get"] != "" || !strings.Contains(text, "["+exported["获取天气"]+"]") {
		t.Errorf("names on the gateway: %q\n%s", exported, text)
	}
	for name, want := range map[string]string{"a.user.get": "user.get", exported["user.get"]: "user.get",
		"a.user_get": "user_get", "a_user_get": "user_get", "a.获取天气": "获取天气", exported["获取天气"]: "获取天气",
		"a." + exported["获取天气"]: "获取天气"} {
		r := run(t, "", "call", name, "--project", project, "--json")
		if r.code != exitOK || !strings.Contains(r.out, fmt.Sprintf("%q", want)) {
			t.Errorf("call %s: %+v", name, r)
		}
		if n := strings.Count(r.out, "9007199254740993"); n != 4 || !strings.Contains(r.out, `"more": 1.0`) {
			t.Errorf("call %s: the result is not as it came:\n%s", name, r.out)
		}
	}
}

// A name with a typo is not_found on every way to a server, whatever the server calls it, with the
// one that was meant. So is an argument with a typo.
func TestTyposInCalls(t *testing.T) {
	url := foreignServer(t)
	path := projectFile(t, "agents:\n  a: {url: "+url+"/mcp, communicator: mcp-http}\n  greeter: {type: greeter}\n")
	const tool = `did you mean "user_get"?`
	const argument = "2 errors:\nit needs count\n" + `did you mean "count" for "coutn"?`
	for _, tt := range []struct{ call, want string }{
		{"a.usr_get -p " + path, "openmas: a.usr_get: not_found: Unknown tool: 'usr_get'; " + tool},
		{"a.user_gt -p " + path, "openmas: a.user_gt: not_found: Unknown tool: user_gt; " + tool},
		{"a_usr_get -p " + path, "openmas: a_usr_get: not_found: Unknown tool: 'usr_get'; " + tool},
		{"usr_get --url " + url, "openmas: usr_get: not_found: Unknown tool: 'usr_get'; " + tool},
		{"user_gt --url " + url, "openmas: user_gt: not_found: Unknown tool: user_gt; " + tool},
		{"a.wrong coutn=1 -p " + path, "openmas: a.wrong: tool_failed: " + argument},
		{"wrong coutn=1 --url " + url, "openmas: wrong: tool_failed: " + argument},
		{"greeter.gret -p " + path, `openmas: greeter.gret: not_found: agent greeter has no tool "gret"; did you mean "greet"?`},
		{"greeter.greet nam=x -p " + path, `openmas: greeter.greet: invalid_argument: invalid input: unexpected ` +
			`additional properties ["nam"]; did you mean "name" for "nam"?`},
		{"greter_greet -p " + path, `openmas: greter_greet: not_found: there is no agent "greter"; did you mean "greeter"?`},
	} {
		r := run(t, "", append([]string{"call"}, strings.Fields(tt.call)...)...)
		if r.code != exitFailed || !strings.Contains(r.err, tt.want+"\n") {
			t.Errorf("%s: exit %d, %s", tt.call, r.code, r.err)
		}
	}
	s := serve(t, path)
	for call, want := range map[string]string{
		"greeter.greet nam=x": `openmas: greeter.greet: invalid_argument: invalid input: unexpected additional ` +
			`properties ["nam"]; did you mean "name" for "nam"?`,
		"a_wrong coutn=1": "openmas: a_wrong: tool_failed: " + argument, // what a plain server's tool says stays
	} {
		r := run(t, "", append([]string{"call", "--url", s.url}, strings.Fields(call)...)...)
		if r.code != exitFailed || !strings.Contains(r.err, want+"\n") {
			t.Errorf("on the gateway, %s: %+v", call, r)
		}
	}
	for name, meant := range map[string]string{"a_usr_get": "a_user_get", "greeter.gret": "greeter_greet"} {
		r := run(t, "", "call", name, "--url", s.url)
		if want := fmt.Sprintf("not_found: unknown tool %q; did you mean %q?\n", name, meant); r.code != exitFailed ||
			!strings.Contains(r.err, want) {
			t.Errorf("on the gateway, %s: %+v", name, r)
		}
	}
	for name, want := range map[string]string{
		"a.usr_get": `did you mean "a.user_get"?`, "none.x": `there is no agent "none"; known: a, greeter, openmas`,
	} {
		r := run(t, "", "call", name, "--project", path)
		if r.code != exitFailed || !strings.Contains(r.err, want+"\n") {
			t.Errorf("in the project that runs, %s: %+v", name, r)
		}
	}
}
