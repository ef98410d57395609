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
			answer = `"result":{"tools":[{"name":"user.get","description":"dot","inputSchema":{"type":"object"}},{"name":"user_get","inputSchema":{"type":"object"}},` +
				`{"name":"获取天气","inputSchema":{"type":"object","properties":{"z":{"const":9007199254740993},"a":{}}}},` +
				`{"name":"bad","icons":["x"]},{"name":"evil\u001b[2J","inputSchema":{}}]}`
		case "tools/call":
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
			"left out: list prompts/list", "out of order", `evil\x1b[2J`} {
			if !strings.Contains(text, want) {
				t.Errorf("%v: no %q in\n%s", flags, want, text)
			}
		}
		if left := l.Agents[0].LeftOut; len(l.Agents[0].Tools) != 4 || len(left) != 2 ||
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
	if r := run(t, "", "call", "a_nobody", "--project", project); r.code != exitUsage ||
		!strings.Contains(r.err, "AGENT.TOOL") {
		t.Errorf("%+v", r)
	}
}
