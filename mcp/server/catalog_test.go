package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

// rawTool is a tool as a foreign server sent it.
func rawTool(t *testing.T, raw string) (info agent.ToolInfo) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), &info); err != nil {
		t.Fatal(err)
	}
	info.Raw = json.RawMessage(raw)
	return info
}

func rawResource(t *testing.T, raw string) (info agent.ResourceInfo) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), &info); err != nil {
		t.Fatal(err)
	}
	info.Raw = json.RawMessage(raw)
	return info
}

// serving is a directory of foreign agents, whose resources have their own URIs for a text.
func serving(infos ...agent.Info) *foreign {
	return &foreign{infos: infos,
		Caller: agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			if c.Op == agent.OpResource {
				return &agent.Result{Content: []agent.Content{agent.Embed(
					agent.ResourceContents{URI: c.Name, Text: c.Target()})}}, nil
			}
			return agent.TextResult(c.Target()), nil
		})}
}

// ask is the answer to a request on a session of its own, as it stands in the message.
func (s *site) ask(t *testing.T, path, version, method, params string) string {
	t.Helper()
	return s.dial(t, path, version).ask(t, method, params)
}

func TestForeignDefinitionsAreListedAsTheyCame(t *testing.T) {
	const (
		weather = `{"_meta":{"x/y":12345678901234567890.0,"ui":{"resourceUri":"ui://weather/view"}},"name":"get weather",` +
			`"icons":[{"src":"https://e.org/<i>.png"}],"inputSchema":{"properties":{"z":{"maximum":1.50e300},"a":{}},"type":"object"},` +
			`"execution":{"taskSupport":"optional"},"annotations":{"title":"T","readOnlyHint":false},"later":[1.50]}`
		view = `{"size":9007199254740993,"uri":"ui://weather/view","name":"v","annotations":{"priority":1.0},"_meta":{"k":"\u00e9"}}`
		tmpl = `{"uriTemplate":"w://{a}","icons":[],"name":"t"}`
		ask  = `{"arguments":[{"name":"x","later":1}],"name":"ask","title":"A","_meta":{"n":1.0}}`
	)
	var p agent.PromptInfo
	if err := json.Unmarshal([]byte(ask), &p); err != nil {
		t.Fatal(err)
	}
	p.Raw = json.RawMessage(ask)
	dir := serving(agent.Info{Name: "w", Tools: []agent.ToolInfo{rawTool(t, weather)}, Prompts: []agent.PromptInfo{p},
		Resources: []agent.ResourceInfo{rawResource(t, view), rawResource(t, tmpl)}})
	s := newSite(t, dir, GatewayOptions{})
	for _, version := range []string{codec.Version20250618, codec.Version20260728} {
		for path, name := range map[string]string{"": "w_", "/agents/w": ""} {
			tool, prompt := strings.Replace(weather, `"get weather"`, `"w_get_weather"`, 1),
				strings.Replace(ask, `"ask"`, `"w_ask"`, 1)
			if name == "" {
				tool, prompt = weather, ask
			}
			for method, want := range map[string]string{"tools/list": `"tools":[` + tool + `]`,
				"prompts/list":   `"prompts":[` + prompt + `]`,
				"resources/list": `"resources":[` + view + `]`, "resources/templates/list": `"resourceTemplates":[` +
					tmpl + `]`} {
				if got := s.ask(t, path, version, method, `{}`); !strings.Contains(got, want) {
					t.Errorf("%s %s %s: %s\nwant %s", path, version, method, got, want)
				}
			}
		}
	}
}

func TestABadSchemaCostsItselfOnly(t *testing.T) {
	dir := serving(agent.Info{Name: "php", Tools: []agent.ToolInfo{
		rawTool(t, `{"name":"fine","inputSchema":{"type":"object","properties":{"n":{"minimum":1.0}}}}`),
		rawTool(t, `{"name":"empty","inputSchema":{"type":"object","properties":[]},"outputSchema":{"type":"object","properties":[]}}`),
		rawTool(t, `{"name":"hopeless","inputSchema":{"type":"object","properties":"none"},"outputSchema":{"type":7}}`),
		rawTool(t, `{"name":"listed","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}`),
	}})
	s := newSite(t, dir, GatewayOptions{})
	old := s.ask(t, "", codec.Version20251125, "tools/list", `{}`)
	for _, want := range []string{`{"name":"php_fine","inputSchema":{"type":"object","properties":{"n":{"minimum":1.0}}}}`,
		`{"name":"php_empty","inputSchema":{"type":"object","properties":{}},"outputSchema":{"type":"object","properties":{}}}`,
		`{"name":"php_hopeless","inputSchema":{"type":"object"}}`,
		`{"name":"php_listed","inputSchema":{"type":"object"}}`} {
		if !strings.Contains(old, want) {
			t.Errorf("%s\nis not in %s", want, old)
		}
	}
	if newest := s.ask(t, "", codec.Version20260728, "tools/list", `{}`); !strings.Contains(newest,
		`{"name":"php_listed","inputSchema":{"type":"object"},"outputSchema":{"type":"array"}}`) {
		t.Errorf("an array is not said to the newest clients: %s", newest)
	}
	s.Refresh()
	log := s.log.String()
	for _, tool := range []string{"empty", "hopeless"} {
		if strings.Count(log, "agent=php name="+tool+" ") != 1 {
			t.Errorf("there is not one warning about %s: %s", tool, log)
		}
	}
	if strings.Contains(log, "name=fine") || strings.Contains(log, "name=listed") {
		t.Errorf("a warning about what is right: %s", log)
	}
}

func TestPagesAreBoundedInBytes(t *testing.T) {
	var tools []agent.ToolInfo
	sizes := map[string]int{}
	for i := range 40 {
		size := 20 << 10
		if i == 7 {
			size = 300 << 10 // a page of its own
		}
		name := fmt.Sprintf("t%02d", i)
		sizes["big_"+name] = size
		tools = append(tools, agent.ToolInfo{Name: name, Description: strings.Repeat("x", size)})
	}
	s := newSite(t, serving(agent.Info{Name: "big", Tools: tools}), GatewayOptions{})
	cs := s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	var seen []string
	pages := 0
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		res, err := cs.ListTools(t.Context(), &sdk.ListToolsParams{Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, tool := range res.Tools {
			seen, size = append(seen, tool.Name), size+sizes[tool.Name]
		}
		if size > 256<<10 && len(res.Tools) > 1 {
			t.Errorf("a page of %d bytes, %d tools", size, len(res.Tools))
		}
		cursor = res.NextCursor
	}
	if len(slices.Compact(slices.Clone(seen))) != 40 || !slices.IsSorted(seen) || pages < 5 || pages > 7 {
		t.Errorf("%d pages: %v", pages, seen)
	}
	if _, err := cs.ListTools(t.Context(), &sdk.ListToolsParams{Cursor: "?"}); err == nil ||
		!strings.Contains(err.Error(), "cursor") {
		t.Errorf("a cursor of nobody's: %v", err)
	}
}

// Two agents with the same view: each tool is shown by its own agent's.
func TestTheSameURIAtTwoAgents(t *testing.T) {
	const tool = `{"name":"show","inputSchema":{"type":"object"},"_meta":{"ui":{"resourceUri":"ui://app/view.html","csp":{}},"ui/resourceUri":"ui://app/view.html"}}`
	const view, tmpl = `{"uri":"ui://app/view.html","name":"view","mimeType":"text/html;profile=mcp-app"}`,
		`{"uriTemplate":"db://{table}{?q}","name":"t"}`
	info := func(name string) agent.Info {
		return agent.Info{Name: name, Tools: []agent.ToolInfo{rawTool(t, tool)},
			Resources: []agent.ResourceInfo{rawResource(t, view), rawResource(t, tmpl)}}
	}
	dir := serving(info("zoe"), info("amy"))
	s := newSite(t, dir, GatewayOptions{})
	cs := s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	tools, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, who := range []string{"amy", "zoe"} {
		link, _ := tools.Tools[i].Meta["ui"].(map[string]any)["resourceUri"].(string)
		if link != tools.Tools[i].Meta["ui/resourceUri"] {
			t.Errorf("%v", tools.Tools[i].Meta)
		}
		res, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: link})
		if err != nil || res.Contents[0].Text != who+".ui://app/view.html" {
			t.Errorf("%s: %s %v", link, fixture.MustJSON(t, res), err)
		}
	}
	list, err := cs.ListResources(t.Context(), nil)
	if err != nil || len(list.Resources) != 2 || list.Resources[1].URI != "ui://zoe/app/view.html" {
		t.Errorf("%s %v", fixture.MustJSON(t, list), err)
	}
	for uri, want := range map[string]string{"db://users?q=1": "amy.db://users?q=1",
		"db://zoe/users?q=1": "zoe.db://users?q=1"} {
		res, err := cs.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		if err != nil || res.Contents[0].Text != want || res.Contents[0].URI != uri {
			t.Errorf("%s: %s %v", uri, fixture.MustJSON(t, res), err)
		}
	}
	if log := s.log.String(); !strings.Contains(log, "offered as ui://zoe/app/view.html: agent amy") {
		t.Error(log)
	}
}

func TestResourcesAsClientsSpellThem(t *testing.T) {
	templates := []string{"repo://{owner}/{repo}/contents{/path*}", "shop://store/products{?query,page,limit}",
		"plain://{id}",
		"plus://{+path}", "frag://x{#section}", "my://{user-id}", "pre://{name:3}", "dot://x{.ext}", "two://{a}/{a}"}
	info := agent.Info{Name: "a", Resources: []agent.ResourceInfo{{URI: "file:///a b/ü.txt", Name: "spaced"},
		{URI: "http://Host.example", Name: "h"}}}
	for _, tmpl := range templates {
		info.Resources = append(info.Resources, agent.ResourceInfo{Template: tmpl, Name: tmpl})
	}
	s := newSite(t, serving(info), GatewayOptions{})
	for sent, want := range map[string]string{"file:///a%20b/%C3%BC.txt": "file:///a b/ü.txt",
		"file:///a b/ü.txt":    "file:///a b/ü.txt",
		"http://host.example/": "http://Host.example", "repo://me/app/contents/src/main.go": "",
		"shop://store/products?query=ssd": "",
		"shop://store/products":           "", "plain://7": "", "plus://a/b/c": "", "frag://x#s1": "", "my://42": "",
		"pre://abc": "", "dot://x.json": "",
		"two://q/q": ""} {
		if want == "" {
			want = sent
		}
		for _, path := range []string{"", "/agents/a"} {
			got := s.ask(t, path, codec.Version20250618, "resources/read",
				fixture.MustJSON(t, map[string]string{"uri": sent}))
			if !strings.Contains(got, `"text":"a.`+want+`"`) {
				t.Errorf("%s %s: %s", path, sent, got)
			}
		}
	}
	if got := s.ask(t, "", codec.Version20250618, "resources/read", `{"uri":"nobody://x"}`); !strings.Contains(got,
		"-32002") {
		t.Error(got)
	}
}

// A client is told of a resource under the URI that it subscribed to, however it spells that.
func TestSubscriptionsAsClientsSpellThem(t *testing.T) {
	dir := serving(agent.Info{Name: "zoe", Resources: []agent.ResourceInfo{{URI: "file:///a b", Name: "x"},
		{URI: "r://1", Name: "r"}}},
		agent.Info{Name: "amy", Resources: []agent.ResourceInfo{{URI: "r://1", Name: "r"}}})
	watched := make(chan string, 10)
	s := newSite(t, dir, GatewayOptions{Watch: func(_ context.Context, agent, uri string) error {
		watched <- agent + " " + uri
		return nil
	}})
	told := make(chan string, 10)
	cs := s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, &sdk.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, r *sdk.ResourceUpdatedNotificationRequest) {
			told <- r.Params.URI
		}})
	for sent, own := range map[string]string{"file:///a%20b": "file:///a b", "r://zoe/1": "r://1"} {
		if err := cs.Subscribe(t.Context(), &sdk.SubscribeParams{URI: sent}); err != nil {
			t.Fatal(err)
		}
		if got := fixture.Receive(t, "the watch", watched); got != "zoe "+own {
			t.Errorf("watched is %s", got)
		}
		s.ResourceUpdated(t.Context(), "amy", own) // nobody subscribed to that
		s.ResourceUpdated(t.Context(), "zoe", own)
		if got := fixture.Receive(t, "the notice", told); got != sent {
			t.Errorf("told of %s, subscribed to %s", got, sent)
		}
	}
	if len(told) > 0 {
		t.Errorf("told of %s too", <-told)
	}
}

// A rawClient sends requests by hand and reads answers as they stand in the message.
type rawClient struct {
	url, version string
	header       map[string]string
}

func (s *site) dial(t *testing.T, path, version string) *rawClient {
	t.Helper()
	return s.dialAs(t, path, version, "ann")
}

func (s *site) dialAs(t *testing.T, path, version, token string) *rawClient {
	t.Helper()
	c := &rawClient{s.url + path + "/mcp", version,
		streamableHeaders(map[string]string{codec.VersionHeader: version, "Authorization": "Bearer " + token})}
	if version > codec.Version20251125 {
		return c
	}
	first := maps.Clone(c.header)
	delete(first, codec.VersionHeader)
	status, h, body := send(t, "POST", c.url, first, strings.Replace(initialize, codec.Version20251125, version, 1))
	if status != 200 {
		t.Fatal(status, body)
	}
	if id := h.Get(codec.SessionHeader); id != "" {
		c.header[codec.SessionHeader] = id
	}
	if status, _, body := send(t, "POST", c.url, c.header, initialized); status != 202 {
		t.Fatal(status, body)
	}
	return c
}

func (c *rawClient) ask(t *testing.T, method, params string) string {
	t.Helper()
	h := maps.Clone(c.header)
	if c.version > codec.Version20251125 {
		h[codec.MethodHeader] = method
		var p struct{ Name, URI string }
		if err := json.Unmarshal([]byte(params), &p); err != nil {
			t.Fatal(err)
		}
		if name := cmp.Or(p.Name, p.URI); name != "" {
			h[codec.NameHeader] = name
		}
		meta := `{"_meta":{"` + sdk.MetaKeyProtocolVersion + `":"` + c.version + `","` + sdk.MetaKeyClientCapabilities +
			`":{}}`
		if params != "{}" {
			meta += ","
		}
		params = meta + strings.TrimPrefix(params, "{")
	}
	_, _, body := send(t, "POST", c.url, h, `{"jsonrpc":"2.0","id":7,"method":"`+method+`","params":`+params+`}`)
	if i := strings.LastIndex(body, "\ndata: "); i >= 0 {
		body = strings.TrimSpace(body[i+len("\ndata: "):])
	}
	return body
}
