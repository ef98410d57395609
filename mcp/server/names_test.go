package server

import (
	"context"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/internal/codec"
)

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
