package runtime_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/internal/testkit/recorded"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// made is what no server of the recordings says, but others may: literals that a decoder would
// change, and what is not in the versions of MCP that we know.
var made = []recorded.Recording{
	recorded.New("made", "tools/list", `{"tools":[{"outputSchema":{"required":["n"],"properties":{"n":{"minimum":-1.50e3,`+
		`"type":"number"}},"type":"object"},"x-later":[1.0,{"b":1,"a":12345678901234567890}],"name":"plain","inputSchema":`+
		`{"properties":{"z":{"default":1.0,"type":"number"},"a":{"pattern":"^\u00e9<b>\/&","type":"string"}},"type":"object"},`+
		`"icons":[{"src":"data:,x","sizes":["1x1"],"theme":"dark"}],"_meta":{"n":9007199254740993,"ui":{"csp":[]}},`+
		`"execution":{"taskSupport":"optional"},"annotations":{"later":1E2,"readOnlyHint":true},"description":"<b>\u2028\ud83e\udd8a"}]}`),
	recorded.New("made", "prompts/list", `{"prompts":[{"x":1.0,"arguments":[{"required":false,"name":"n","x":[1.0]}],`+
		`"_meta":{"k":1.10},"name":"p","icons":[]}]}`),
	recorded.New("made", "resources/list", `{"resources":[{"size":9007199254740993,"_meta":{"b":1,"a":1.0},"uri":"made://one",`+
		`"annotations":{"priority":1.0,"lastModified":"2025-01-01T00:00:00Z"},"name":"one"}]}`),
	recorded.New("made", "resources/templates/list", `{"resourceTemplates":[{"x":"\/","uriTemplate":"made://{+all}","name":"t"}]}`),
	recorded.New("made", "tools/call", `{"structuredContent":{"z":12345678901234567890.0,"a":1e400},"own":[1.0],"content":[`+
		`{"later":1.50,"text":"\u00e9 <b>","type":"text","annotations":{"priority":1.0},"_meta":{"n":9007199254740993}}],`+
		`"_meta":{"k":{"b":1,"a":1.0}}}`),
	recorded.New("made", "tools/call", `{"content":[{"type":"hologram","data":{"x":[1.0]}},{"text":"w","type":"text"},`+
		`{"url":"<&>","type":"video"}]}`),
	recorded.New("made", "tools/call", `{"structuredContent":{"n":9007199254740993},"isError":true,"content":[{"type":"hologram"},`+
		`{"mimeType":"image/png","type":"image","data":"aGk=","x":1.0}],"x":"\u003c"}`),
	recorded.New("made", "prompts/get", `{"messages":[{"content":{"x":1.0,"type":"text","text":"\u00e9<"},"role":"user","y":1.0},`+
		`{"role":"assistant","content":{"type":"hologram","n":9007199254740993}}],"_meta":{"k":1.0}}`),
	recorded.New("made", "resources/read", `{"contents":[{"text":"\u00e9<","x":2.0,"uri":"made://one","_meta":{"n":1.0}}],"y":1.0}`),
	recorded.New("made", "completion/complete", `{"completion":{"total":1,"values":["\u00e9<"],"x":1.0},"y":1.0}`),
}

// serveRecorded is a server of the recordings as a program.
func serveRecorded(name string) int {
	s := recorded.Server{Recordings: recorded.Of(slices.Concat(recorded.All(), made), name, "")}
	if name == "refusing" {
		s = refusing
	}
	if err := s.ServeStdio(os.Stdin, os.Stdout); err != nil {
		return 1
	}
	return 0
}

// What servers that people use said reaches a client of the gateway token for token: order and
// literals. Only names, and what each server says for itself, are ours.
func TestRecordingsReachClientsTokenForToken(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(recorded.All(), made)
	for _, over := range []string{"stdio", "http"} {
		for _, fast := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, fast path %v", over, fast), func(t *testing.T) {
				t.Parallel()
				agents := map[string]project.Agent{}
				for _, name := range recorded.Servers(all) {
					agents[name] = project.Agent{Command: []string{exe},
						Env: map[string]string{foreignVar: "recorded " + name}}
					if over == "http" {
						srv := httptest.NewServer(&recorded.Server{Recordings: recorded.Of(all, name, "")})
						t.Cleanup(srv.Close)
						agents[name] = project.Agent{URL: srv.URL + "/mcp"}
					}
				}
				s := start(t, &project.Config{Gateway: &project.Gateway{Listen: "127.0.0.1:0"},
					MCP: project.MCP{FastPath: &fast}, Agents: agents}, nil)
				for _, name := range recorded.Servers(all) {
					testkit.Eventually(t, name+" is up", func() bool {
						return s.agentStatus(name).State == runtime.StateReady
					}, s.log)
				}
				for _, c := range []struct{ path, version string }{{"/mcp", "2025-11-25"}, {"/mcp", "2026-07-28"},
					{"/sse", "2025-11-25"}, {"/sse", "2024-11-05"}} {
					trip := trip{t: t, rawClient: dialRaw(t, s.Status().URL, c.path, c.version)}
					for _, r := range all {
						trip.check(r)
					}
					t.Logf("%s %s: %d items, %d tokens", c.path, c.version, trip.items, trip.tokens)
				}
			})
		}
	}
}

// trip compares what one client gets.
type trip struct {
	*rawClient
	t             *testing.T
	items, tokens int
	calls         map[string]int // so many recordings of a server and a method were asked for
}

// own are members of results that each server has to say for itself.
var own = []string{"resultType", "ttlMs", "cacheScope"}

func (x *trip) check(r recorded.Recording) {
	if strings.HasSuffix(r.Method, "/list") {
		x.checkList(r)
		return
	}
	if x.calls == nil {
		x.calls = map[string]int{}
	}
	n := x.calls[r.Server+r.Method]
	x.calls[r.Server+r.Method]++
	var params string
	switch r.Method {
	case "tools/call":
		params = fmt.Sprintf(`{"name":%q,"arguments":{"n":%d}}`, r.Server+"_"+x.one(r, "tools/list"), n)
	case "prompts/get":
		params = fmt.Sprintf(`{"name":%q,"arguments":{"n":"%d"}}`, r.Server+"_"+x.one(r, "prompts/list"), n)
	case "completion/complete":
		params = fmt.Sprintf(`{"ref":{"type":"ref/prompt","name":%q},"argument":{"name":"n","value":""}}`,
			r.Server+"_"+x.one(r, "prompts/list"))
	case "resources/read":
		params = fmt.Sprintf(`{"uri":%s}`, member(r.Items[0], "uri"))
	}
	want, got := membersOf(r.Result), membersOf(x.result(r.Method, params))
	got = slices.DeleteFunc(got, func(m [2]string) bool { return slices.Contains(own, m[0]) })
	for i, m := range got {
		if m[0] == "_meta" && x.version == "2026-07-28" { // the version has each server name itself
			if got[i][1] = without(m[1], "io.modelcontextprotocol/serverInfo"); got[i][1] == "{}" {
				got = slices.Delete(got, i, i+1)
				break
			}
		}
	}
	what := fmt.Sprintf("%s %d of %s", r.Method, n, r.Server)
	if x.version == "2024-11-05" && strings.Contains(r.Result, `"resource_link"`) { // it has no such blocks
		return
	}
	x.same(what, joined(want), joined(got))
}

// one is a name that the server of r lists.
func (x *trip) one(r recorded.Recording, method string) string {
	list := recorded.Of(slices.Concat(recorded.All(), made), r.Server, method)[0]
	return strings.Trim(member(list.Items[0], "name"), `"`)
}

// checkList looks for the items of a list among those that the gateway lists, in their order.
func (x *trip) checkList(r recorded.Recording) {
	key := map[string]string{"resources/list": "uri", "resources/templates/list": "uriTemplate"}[r.Method]
	listed := x.list(r.Method, r.Member)
	at := -1
	for _, want := range r.Items {
		if recorded.IsTask(want) {
			continue
		}
		if key == "" { // tools and prompts have another name
			name := strings.Trim(member(want, "name"), `"`)
			want = replaced(want, "name", fmt.Sprintf("%q", r.Server+"_"+name))
		}
		id := member(want, orName(key))
		i := slices.IndexFunc(listed, func(got string) bool { return member(got, orName(key)) == id })
		if i < 0 {
			x.t.Errorf("%s %s: %s of %s %s is not listed", x.path, x.version, id, r.Server, r.Method)
			continue
		}
		if i <= at {
			x.t.Errorf("%s %s: %s of %s %s has lost its place", x.path, x.version, id, r.Server, r.Method)
		}
		at = i
		x.same(fmt.Sprintf("%s of %s", r.Method, r.Server), want, listed[i])
	}
}

func orName(key string) string {
	if key == "" {
		return "name"
	}
	return key
}

// same compares JSON token for token.
func (x *trip) same(what, want, got string) {
	a, b := tokens(want), tokens(got)
	x.items++
	x.tokens += len(a)
	if !slices.Equal(a, b) {
		x.t.Errorf("%s %s: %s is\n%s\nwant\n%s", x.path, x.version, what, got, want)
	}
}

// tokens are those of valid JSON, as they are written.
func tokens(raw string) (all []string) {
	for raw = strings.TrimLeft(raw, " \t\r\n"); raw != ""; raw = strings.TrimLeft(raw, " \t\r\n") {
		n := 1
		switch {
		case raw[0] == '"':
			for ; raw[n] != '"'; n++ {
				if raw[n] == '\\' {
					n++
				}
			}
			n++
		case !strings.ContainsRune("{}[]:,", rune(raw[0])):
			for n < len(raw) && !strings.ContainsRune("{}[]:, \t\r\n", rune(raw[n])) {
				n++
			}
		}
		all, raw = append(all, raw[:n]), raw[n:]
	}
	return all
}

// membersOf are those of a JSON object, in order: the name, and the value as it is written.
func membersOf(raw string) (all [][2]string) {
	d := json.NewDecoder(strings.NewReader(raw))
	if _, err := d.Token(); err != nil {
		panic(fmt.Sprintf("%q is no JSON object: %v", raw, err))
	}
	for d.More() {
		name, _ := d.Token()
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			panic(fmt.Sprintf("%q is no JSON object: %v", raw, err))
		}
		all = append(all, [2]string{fmt.Sprint(name), string(value)})
	}
	return all
}

func joined(members [][2]string) string {
	var parts []string
	for _, m := range members {
		parts = append(parts, fmt.Sprintf("%q:%s", m[0], m[1]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func member(raw, name string) string {
	for _, m := range membersOf(raw) {
		if m[0] == name {
			return m[1]
		}
	}
	return ""
}

func replaced(raw, name, value string) string {
	members := membersOf(raw)
	for i, m := range members {
		if m[0] == name {
			members[i][1] = value
		}
	}
	return joined(members)
}

func without(raw, name string) string {
	return joined(slices.DeleteFunc(membersOf(raw), func(m [2]string) bool { return m[0] == name }))
}

// rawClient is a client of the gateway without an SDK.
type rawClient struct {
	t                  *testing.T
	url, path, version string
	session            string
	events             *bufio.Reader // of /sse
	endpoint           string
	n                  int
	lists              map[string][]string
}

// dialRaw connects to /mcp or /sse.
func dialRaw(t *testing.T, url, path, version string) *rawClient {
	t.Helper()
	c := &rawClient{t: t, url: url, path: path, version: version, lists: map[string][]string{}}
	if path == "/sse" {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		c.events = bufio.NewReader(resp.Body)
		c.endpoint = c.event()
	}
	if version < "2026" {
		c.result("initialize", `{"protocolVersion":"`+version+
			`","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}`)
		c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`, "")
	}
	return c
}

// event is the data of the next event.
func (c *rawClient) event() string {
	for {
		line, err := c.events.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			return strings.TrimSpace(data)
		}
	}
}

// send posts a message, and returns what its response holds.
func (c *rawClient) send(msg, method string) string {
	c.t.Helper()
	to := c.url + c.path
	if c.path == "/sse" {
		to = c.url + c.endpoint
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, to, strings.NewReader(msg))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
	}
	if method != "" && method != "initialize" && c.path == "/mcp" {
		r.Header.Set("Mcp-Protocol-Version", c.version)
	}
	if c.version > "2026" {
		var m struct {
			Params struct{ Name, URI string } `json:"params"`
		}
		_ = json.Unmarshal([]byte(msg), &m) // it was just written
		r.Header.Set("Mcp-Method", method)
		if name := m.Params.Name + m.Params.URI; name != "" {
			r.Header.Set("Mcp-Name", name)
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if id := resp.Header.Get("Mcp-Session-Id"); id != "" {
		c.session = id
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		_, body, _ = bytes.Cut(body, []byte("data: "))
	}
	return string(body)
}

// result asks, and returns the result as it came.
func (c *rawClient) result(method, params string) string {
	c.t.Helper()
	answer := c.ask(method, params)
	got := member(answer, "result")
	if got == "" {
		c.t.Fatalf("%s %s: %s %s is answered with %s", c.path, c.version, method, params, answer)
	}
	return got
}

// ask returns the answer as it came.
func (c *rawClient) ask(method, params string) string {
	c.t.Helper()
	c.n++
	if c.version > "2026" {
		params = strings.Replace(params, "{", `{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",`+
			`"io.modelcontextprotocol/clientInfo":{"name":"raw","version":"1"},`+
			`"io.modelcontextprotocol/clientCapabilities":{}},`, 1)
		params = strings.Replace(params, ",}", "}", 1)
	}
	answer := c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":%s}`, c.n, method, params), method)
	if c.path == "/sse" {
		for answer = c.event(); member(answer, "id") != fmt.Sprint(c.n); answer = c.event() {
		}
	}
	return strings.SplitN(answer, "\n\n", 2)[0]
}

// list are the items of all pages of a list.
func (c *rawClient) list(method, of string) []string {
	c.t.Helper()
	if c.lists[method] != nil {
		return c.lists[method]
	}
	cursor, all := "", []string{}
	for {
		page := c.result(method, "{"+cursor+"}")
		var items []json.RawMessage
		if err := json.Unmarshal([]byte(member(page, of)), &items); err != nil {
			c.t.Fatal(err)
		}
		for _, i := range items {
			all = append(all, string(i))
		}
		next := member(page, "nextCursor")
		if next == "" {
			c.lists[method] = all
			return all
		}
		cursor = `"cursor":` + next
	}
}
