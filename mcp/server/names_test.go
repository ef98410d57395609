package server

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openmas/openmas/agent"
)

func TestGatewayNames(t *testing.T) {
	long := strings.Repeat("x", 70)
	for _, c := range []struct{ agent, tool, want string }{
		{"editor", "review", "editor_review"},
		{"web-search", "docs_find-all", "web-search_docs_find-all"},
		{"notes", "docs.search", "notes_docs_search"},
		{"notes", "docs/search v2", "notes_docs_search_v2"},
		{"notes", "grüße", "notes_gr____e"},
		{"a", strings.Repeat("x", 62), "a_" + strings.Repeat("x", 62)},
		{"a", long, "a_" + strings.Repeat("x", 53) + "_" + GatewayName("a", long)[56:]},
	} {
		if got := GatewayName(c.agent, c.tool); got != c.want {
			t.Errorf("%s.%s: %s, want %s", c.agent, c.tool, got, c.want)
		}
	}
	if GatewayName("a", long) == GatewayName("a", long+"y") {
		t.Error("two long names are one")
	}
}

func TestGatewayNamesAreSafeForEveryClient(t *testing.T) {
	safe := regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	rapid.Check(t, func(t *rapid.T) {
		a, tool := rapid.StringMatching(`[a-z][a-z0-9-]{0,31}`).Draw(t, "agent"), rapid.String().Draw(t, "tool")
		if name := GatewayName(a, tool); !safe.MatchString(name) || !strings.HasPrefix(name, a+"_") {
			t.Fatalf("%q", name)
		}
	})
}

func TestNamesThatClashAreAnError(t *testing.T) {
	tools := func(names ...string) (out []agent.ToolInfo) {
		for _, n := range names {
			out = append(out, agent.ToolInfo{Name: n})
		}
		return out
	}
	err := CheckNames([]agent.Info{{Name: "notes", Tools: tools("a.b", "a_b", "c")},
		{Name: "other", Tools: tools("a.b")}})
	if err == nil || !strings.Contains(err.Error(), "notes.a.b and notes.a_b") ||
		!strings.Contains(err.Error(), "notes_a_b") || strings.Contains(err.Error(), "other") {
		t.Error(err)
	}
	if err := CheckNames([]agent.Info{{Name: "notes", Tools: tools("a"),
		Prompts: []agent.PromptInfo{{Name: "a"}}}}); err != nil {
		t.Errorf("a tool and a prompt of one name: %v", err)
	}
	if _, err := NewGateway(listed{{Name: "notes", Tools: tools("a.b", "a_b")}}, GatewayOptions{}); err == nil {
		t.Error("the gateway took it")
	}
	if _, err := NewGateway(listed{{Name: "notes", Tools: tools("a.b", "a_b")}},
		GatewayOptions{Expose: []string{"notes.a_b"}}); err != nil {
		t.Errorf("one of them exposed: %v", err)
	}
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
