package server

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"pgregory.net/rapid"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

func TestGatewayNames(t *testing.T) {
	long := strings.Repeat("x", 70)
	for _, c := range []struct {
		name   string
		agent  string
		tools  []string
		want   []string // a # stands for a hash
		hashed int
	}{
		{"plain", "web-search", []string{"docs_find-all", "Review"},
			[]string{"web-search_docs_find-all", "web-search_Review"}, 0},
		{"other characters", "notes", []string{"docs.search", "docs/search v2"},
			[]string{"notes_docs_search", "notes_docs_search_v2"}, 0},
		{"not ASCII", "notes", []string{"grüße"}, []string{"notes_gr__e#"}, 1},
		{"only what is not ASCII", "a", []string{"获取天气", "查询股票"}, []string{"a_____#", "a_____#"}, 2},
		{"64 characters", "a", []string{strings.Repeat("x", 62)}, []string{"a_" + strings.Repeat("x", 62)}, 0},
		{"too long", "a", []string{long + "1", long + "2"},
			[]string{"a_" + strings.Repeat("x", 53) + "#", "a_" + strings.Repeat("x", 53) + "#"}, 2},
		{"one has the name itself", "a", []string{"user.get", "user_get"}, []string{"a_user_get#", "a_user_get"}, 1},
		{"neither has", "a", []string{"repo/list", "repo:list"}, []string{"a_repo_list#", "a_repo_list#"}, 2},
		{"upper case is another", "a", []string{"GetUser", "getUser"}, []string{"a_GetUser", "a_getUser"}, 0},
		{"no name", "a", []string{""}, []string{"a_#"}, 1},
		{"twice", "a", []string{"x.y", "x.y"}, []string{"a_x_y", "a_x_y"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := gatewayNames(c.agent, c.tools)
			hashed := 0
			for i, n := range got {
				if n.why != "" {
					hashed++
				}
				pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(c.want[i]), "#", "_[0-9a-f]{8}") + "$"
				if !regexp.MustCompile(pattern).MatchString(n.exported) {
					t.Errorf("%q is %s, want %s", c.tools[i], n.exported, c.want[i])
				}
			}
			if hashed != c.hashed {
				t.Errorf("%d have a reason for a hash: %+v", hashed, got)
			}
		})
	}
	if got := GatewayNames("notes", []string{"grüße"}); got[0] != "notes_gr__e_4f419293" {
		t.Errorf("another hash than on the last start: %s", got[0])
	}
}

// What every client takes, each name once, and no difference for another order.
func TestGatewayNamesAreSafeForEveryClient(t *testing.T) {
	safe := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.StringMatching(`[a-z][a-z0-9-]{0,31}`).Draw(t, "agent")
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ab][._/ü]{0,2}[ab]`),
			rapid.StringMatching(`[ab_.]{60,64}`))
		tools := rapid.SliceOfDistinct(name, rapid.ID).Draw(t, "tools")
		names, seen := GatewayNames(a, tools), map[string]string{}
		for i, n := range names {
			if !safe.MatchString(n) || !strings.HasPrefix(n, a+"_") {
				t.Fatalf("%q", n)
			}
			if seen[n] != "" {
				t.Fatalf("%q and %q are both %s", seen[n], tools[i], n)
			}
			seen[n] = tools[i]
		}
		slices.Reverse(tools)
		again := GatewayNames(a, tools)
		if slices.Reverse(again); !slices.Equal(names, again) {
			t.Fatalf("%q: %q, in another order %q", tools, names, again)
		}
	})
}

// Names that fall together refuse nothing: both tools are offered, and called by either name.
func TestNamesThatClashAreBothOffered(t *testing.T) {
	echo := agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		return agent.TextResult(c.Target()), nil
	})
	dir := &foreign{infos: []agent.Info{{Name: "notes",
		Tools: []agent.ToolInfo{{Name: "a.b"}, {Name: "a_b"}, {Name: "获取"}}}}, Caller: echo}
	s := newSite(t, dir, GatewayOptions{})
	cs := s.join(t, way{transport: mcp.Streamable, version: codec.Version20251125}, nil)
	names := GatewayNames("notes", []string{"a.b", "a_b", "获取"})
	for name, want := range map[string]string{names[0]: "notes.a.b", names[1]: "notes.a_b", names[2]: "notes.获取",
		"notes.a.b": "notes.a.b",
		"notes.a_b": "notes.a_b", "notes.获取": "notes.获取"} {
		res, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: name})
		if err != nil || fixture.MustJSON(t, res.Content[0]) != `{"type":"text","text":"`+want+`"}` {
			t.Errorf("%s: %s %v", name, fixture.MustJSON(t, res), err)
		}
	}
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil || len(list.Tools) != 3 {
		t.Errorf("%s %v", fixture.MustJSON(t, list), err)
	}
	for _, part := range []string{`agent=notes name=a.b reason="offered as ` + names[0], `name=获取 reason="offered as ` +
		names[2]} {
		if log := s.log.String(); strings.Count(log, part) != 1 {
			t.Errorf("%q is not there once: %s", part, log)
		}
	}
	s.Refresh()
	if log := s.log.String(); strings.Count(log, "offered as "+names[0]) != 1 {
		t.Errorf("told twice: %s", log)
	}
}

// foreign is a directory of agents whose descriptions are given, as those of foreign servers are.
type foreign struct {
	agent.Caller
	mu    sync.Mutex
	infos []agent.Info
}

func (d *foreign) Agents() []agent.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.infos
}

func (d *foreign) Agent(name string) (agent.Info, bool) {
	for _, in := range d.Agents() {
		if in.Name == name {
			return in, true
		}
	}
	return agent.Info{}, false
}

func TestExposure(t *testing.T) {
	infos := []agent.Info{
		{Name: "editor", Tools: []agent.ToolInfo{{Name: "review"}},
			Resources: []agent.ResourceInfo{{URI: "review://latest"}}},
		{Name: "notes", Tools: []agent.ToolInfo{{Name: "search"}, {Name: "erase"}},
			Prompts: []agent.PromptInfo{{Name: "sum"}}, Resources: []agent.ResourceInfo{{URI: "notes://1"}}},
		{Name: "inner", Tools: []agent.ToolInfo{{Name: "x"}}},
	}
	if got := newExposure(nil).filter(infos); len(got) != 3 {
		t.Errorf("%+v", got)
	}
	got := newExposure([]string{"editor", "notes.search"}).filter(infos)
	if len(got) != 2 || len(got[0].Resources) != 1 || len(got[1].Tools) != 1 || got[1].Tools[0].Name != "search" ||
		len(got[1].Prompts)+len(got[1].Resources) != 0 {
		t.Errorf("%+v", got)
	}
	if len(infos[1].Tools) != 2 {
		t.Error("the filter changed what it was given")
	}
}
