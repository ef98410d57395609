package catalog

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openmas/openmas/agent"
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
			got := GatewayNames(c.agent, c.tools)
			hashed := 0
			for i, n := range got {
				if n.Why != "" {
					hashed++
				}
				pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(c.want[i]), "#", "_[0-9a-f]{8}") + "$"
				if !regexp.MustCompile(pattern).MatchString(n.Exported) {
					t.Errorf("%q is %s, want %s", c.tools[i], n.Exported, c.want[i])
				}
			}
			if hashed != c.hashed {
				t.Errorf("%d have a reason for a hash: %+v", hashed, got)
			}
		})
	}
	if got := GatewayNames("notes", []string{"grüße"}); got[0].Exported != "notes_gr__e_4f419293" {
		t.Errorf("another hash than on the last start: %s", got[0].Exported)
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
			name := n.Exported
			if !safe.MatchString(name) || !strings.HasPrefix(name, a+"_") {
				t.Fatalf("%q", name)
			}
			if seen[name] != "" {
				t.Fatalf("%q and %q are both %s", seen[name], tools[i], name)
			}
			seen[name] = tools[i]
		}
		slices.Reverse(tools)
		again := GatewayNames(a, tools)
		if slices.Reverse(again); !slices.Equal(names, again) {
			t.Fatalf("%q: %+v, in another order %+v", tools, names, again)
		}
	})
}

func TestExposure(t *testing.T) {
	infos := []agent.Info{
		{Name: "editor", Tools: []agent.ToolInfo{{Name: "review"}},
			Resources: []agent.ResourceInfo{{URI: "review://latest"}}},
		{Name: "notes", Tools: []agent.ToolInfo{{Name: "search"}, {Name: "erase"}},
			Prompts: []agent.PromptInfo{{Name: "sum"}}, Resources: []agent.ResourceInfo{{URI: "notes://1"}}},
		{Name: "inner", Tools: []agent.ToolInfo{{Name: "x"}}},
	}
	if got := NewExposure(nil).Filter(infos); len(got) != 3 {
		t.Errorf("%+v", got)
	}
	got := NewExposure([]string{"editor", "notes.search"}).Filter(infos)
	if len(got) != 2 || len(got[0].Resources) != 1 || len(got[1].Tools) != 1 || got[1].Tools[0].Name != "search" ||
		len(got[1].Prompts)+len(got[1].Resources) != 0 {
		t.Errorf("%+v", got)
	}
	if len(infos[1].Tools) != 2 {
		t.Error("the filter changed what it was given")
	}
}
