package openmas_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/openmas/openmas"

// ranks order the packages: an import leads from a higher rank to a lower one, or within one room.
// A package's rank is that of the longest entry that it begins with; the examples and main packages
// stand on top of all.
var ranks = map[string]int{
	"agent":                         1,
	"internal/backoff":              1,
	"internal/cgroup":               2,
	"internal/guard":                2,
	"internal/jsonfields":           0,
	"internal/keyboard":             0,
	"internal/multipleof":           0,
	"internal/nearest":              0,
	"internal/stack":                0,
	"internal/statedir":             1,
	"internal/rotate":               2,
	"internal/crashes":              2,
	"internal/traces":               3,
	"mcp":                           1,
	"internal/calls":                2,
	"internal/lifecycle":            2,
	"internal/logs":                 2,
	"internal/bus":                  3,
	"internal/delivery":             3,
	"internal/testkit":              3,
	"communicator":                  3,
	"agent/pattern":                 2,
	"agent/agenttest":               4,
	"agent/agenttest/wire":          6,
	"communicator/communicatortest": 4,
	"communicator/pubsub":           4,
	"communicator/nats":             5,
	"mcp/internal":                  4,
	"mcp/client":                    5,
	"mcp/server":                    5,
	"mcp/mcptest":                   5,
	"mcp/bridge":                    6,
	"internal/ops":                  6,
	"runtime/project":               6,
	"runtime":                       7,
	"internal/cli":                  8,
	"":                              9,
	"cmd":                           10,
	"examples":                      10,
}

// light is what the packages agent and agenttest must not make a program link: an agent is also a
// thing to test alone, and to run in a child.
var light = []string{"github.com/ThreeDotsLabs/watermill", "github.com/modelcontextprotocol/go-sdk",
	"go.opentelemetry.io/otel", "net/http", "github.com/nats-io"}

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			if to := room(imp); ranks[to] >= ranks[from] && to != from {
				t.Errorf("%s (rank %d) imports %s (rank %d)", p.ImportPath, ranks[from], imp, ranks[to])
			}
		}
		if p.ImportPath == module+"/agent" || p.ImportPath == module+"/agent/agenttest" {
			for _, dep := range p.Deps {
				if slices.ContainsFunc(light, func(l string) bool {
					return dep == l || strings.HasPrefix(dep, l+"/")
				}) {
					t.Errorf("%s links %s", p.ImportPath, dep)
				}
			}
		}
	}
}

// The two ends of MCP do not know of each other, not even through a third package.
func TestRankOfClientAndServer(t *testing.T) {
	client, server := module+"/mcp/client", module+"/mcp/server"
	apart := map[string]string{client: server, server: client}
	for _, p := range packages(t) {
		if other := apart[p.ImportPath]; other != "" && slices.Contains(p.Deps, other) {
			t.Errorf("%s links %s", p.ImportPath, other)
		}
		delete(apart, p.ImportPath)
	}
	if len(apart) > 0 {
		t.Errorf("not there: %v", apart)
	}
}

// A user's program does not link what only the openmas command needs.
func TestImportsOfUsersPrograms(t *testing.T) {
	found := false
	for _, p := range packages(t) {
		if p.ImportPath != module {
			continue
		}
		found = true
		for _, dep := range p.Deps {
			if dep == module+"/mcp/bridge" || strings.HasPrefix(dep, module+"/cmd/") || dep == "go/build" {
				t.Errorf("package openmas links %s", dep)
			}
		}
	}
	if !found {
		t.Error("package openmas is not there")
	}
}

// The bounds of a room: more files are two rooms, more lines two ideas.
const (
	maxFiles = 30
	maxLines = 350
)

func TestRoomsAreSmall(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > maxFiles {
			t.Errorf("%s has %d files besides its tests, the bound is %d", p.ImportPath, len(p.GoFiles), maxFiles)
		}
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(text, []byte("\n")); n > maxLines {
				t.Errorf("%s/%s has %d lines, the bound is %d", p.ImportPath, name, n, maxLines)
			}
		}
	}
}

// room is the entry of ranks that a package belongs to.
func room(path string) string {
	rel := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	best := ""
	for r := range ranks {
		if len(r) > len(best) && (rel == r || strings.HasPrefix(rel, r+"/")) {
			best = r
		}
	}
	return best
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps",
		"./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 8 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	return all
}

var rankRow = regexp.MustCompile("(?m)^\\| (\\d+) \\| (`.+`) \\|")

// docs/architecture.md has the rank of every package.
func TestDocumentedRanks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range rankRow.FindAllStringSubmatch(string(text), -1) {
		for name := range strings.SplitSeq(m[2], ", ") {
			name = strings.TrimPrefix(strings.Trim(name, "`"), "openmas")
			if n++; strconv.Itoa(ranks[room(module+"/"+name)]) != m[1] {
				t.Errorf("%s has rank %d, and not %s", name, ranks[room(module+"/"+name)], m[1])
			}
		}
	}
	if n < len(ranks) {
		t.Errorf("%d packages have a rank there, %d here", n, len(ranks))
	}
}
