package main

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
)

func ask(sys *agenttest.System, root string) (*Review, error) {
	return agent.Ask[*Review](sys.Ctx(), "editor.review", Tree{Root: root})
}

func TestCollector(t *testing.T) {
	root := tree(t)
	sys := agenttest.Run(t, agenttest.Agents{"collector": &Collector{}})
	files, err := agent.Ask[Files](sys.Ctx(), "collector.files", Tree{Root: root})
	want := []string{"internal/basket.go", "internal/über/größe.go", "price.go", "start.go", "total.go"}
	if err != nil || !slices.Equal(files.Paths, want) || len(files.Notes) != 0 {
		t.Errorf("%+v, %v, want %q", files, err, want)
	}
	if lines := strings.Count(tangled+plain+plain+careless+long(90), "\n") + 4; files.Lines != lines {
		t.Errorf("%d lines, want %d", files.Lines, lines)
	}
	if n := len(sys.Published("file.found")); n != len(want) {
		t.Errorf("%d events", n)
	}
}

func TestComplexity(t *testing.T) {
	tests := map[string]struct {
		body string
		want int
	}{
		"nothing":         {``, 1},
		"an if":           {`if a { }`, 2},
		"else if":         {`if a { } else if b { } else { }`, 3},
		"conditions":      {`if a && b || c { }`, 4},
		"loops":           {`for { }; for range x { }`, 3},
		"a switch":        {`switch x { case 1, 2: case 3: default: }`, 3},
		"a type switch":   {`switch x.(type) { case int: default: }`, 2},
		"a select":        {`select { case <-c: case d <- 1: default: }`, 3},
		"a func inside":   {`f(func() { if a { } })`, 2},
		"no branch of it": {`_ = a & b; goto l; l: return`, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, err := parser.ParseFile(token.NewFileSet(), "", "package p; func f() {"+tt.body+"}", 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := cyclomatic(f.Decls[0].(*ast.FuncDecl).Body); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestLinter(t *testing.T) {
	root := tree(t)
	sys := agenttest.Run(t, agenttest.Agents{"linter": &Linter{LongFunction: 80}})
	f, err := agent.Ask[Findings](sys.Ctx(), "linter.lint",
		Batch{Root: root, Paths: []string{"internal/basket.go", "start.go", "price.go", "testdata/sample.go"}})
	want := []Finding{
		{"internal/basket.go", 5, "undocumented", "Basket is exported and has no comment"},
		{"internal/basket.go", 7, "ignored", "the result of a call is thrown away"},
		{"internal/basket.go", 7, "undocumented", "Basket.Clear is exported and has no comment"},
		{"start.go", 3, "long", "initialise has 90 lines"},
	}
	if err != nil || !slices.Equal(f.Findings, want) {
		t.Errorf("%+v, %v", f.Findings, err)
	}
}

func TestHistorian(t *testing.T) {
	root := tree(t)
	isolateGit(t)
	sys := agenttest.Run(t, agenttest.Agents{"historian": &Historian{MaxCommits: 100}})
	churn := func(b Batch) History {
		h, err := agent.Ask[History](sys.Ctx(), "historian.churn", b)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := churn(Batch{Root: root, Paths: []string{"price.go", "total.go", "internal/über/größe.go", "not-there.go"}})
	want := map[string]Churn{"price.go": {3, "2026-02-07"}, "total.go": {2, "2026-02-08"},
		"internal/über/größe.go": {1, "2026-01-05"}}
	if !maps.Equal(h.Files, want) || len(h.Notes) != 0 {
		t.Errorf("%+v", h)
	}
	// a folder of the tree is a tree, with paths of its own
	if h := churn(Batch{Root: filepath.Join(root, "internal"),
		Paths: []string{"basket.go"}}); h.Files["basket.go"].Commits != 1 {
		t.Errorf("%+v", h)
	}
	// what was committed meanwhile counts
	write(t, root, map[string]string{"price.go": plain})
	gitIn(t, root, []string{"GIT_AUTHOR_DATE=2026-03-01T00:00:00Z", "GIT_COMMITTER_DATE=2026-03-01T00:00:00Z"}, "-c",
		"user.name=A", "-c", "user.email=a@example.com", "commit", "-qam", "more")
	if h := churn(Batch{Root: root, Paths: []string{"price.go"}}); h.Files["price.go"] != (Churn{4, "2026-03-01"}) {
		t.Errorf("%+v", h)
	}
}

// The editor asks in batches, reports its progress, and ranks by complexity times commits.
func TestEditorFansOut(t *testing.T) {
	var paths []string
	for i := range 100 {
		paths = append(paths, string(rune('a'+i/26))+string(rune('a'+i%26))+".go")
	}
	sys := agenttest.Run(t, agenttest.Agents{
		"editor":    &Editor{Top: 2, AtOnce: 2},
		"collector": agenttest.Script{"files": Files{Paths: paths, Lines: 5000}},
		"complexity": agenttest.Script{"measure": agenttest.Func(func(_ context.Context, b Batch) (Measures, error) {
			var m Measures
			for _, p := range b.Paths {
				m.Files = append(m.Files,
					FileMeasure{Path: p, Functions: []Function{{Name: "F", Line: 3, Lines: 9, Complexity: 5}}})
			}
			return m, nil
		})},
		"linter": agenttest.Script{"lint": Findings{Findings: []Finding{{Path: "aa.go", Line: 1, Rule: "long"}}}},
		"historian": agenttest.Script{"churn": History{Files: map[string]Churn{"ab.go": {Commits: 7,
			Last: "2026-01-01"}}}},
		"openmas": agenttest.Script{"status": Crew{}},
	}, agenttest.ByHand())
	var mu sync.Mutex
	var last agent.ProgressNotice
	r, err := agent.Ask[*Review](sys.Ctx(), "editor.review", Tree{Root: t.TempDir()},
		agent.OnProgress(func(n agent.ProgressNotice) {
			mu.Lock()
			defer mu.Unlock()
			if n.Progress > last.Progress {
				last = n
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	want := []HotSpot{{Path: "ab.go", Score: 35, Complexity: 5, Commits: 7, Last: "2026-01-01", Worst: "F:3 (5)"},
		{Path: "aa.go", Score: 5, Complexity: 5, Worst: "F:3 (5)", Findings: 3}}
	if !slices.Equal(r.HotSpots, want) || r.Functions != 100 {
		t.Errorf("%+v", r)
	}
	sizes := []int{}
	for _, b := range agenttest.Inputs[Batch](sys, "complexity.measure") {
		sizes = append(sizes, len(b.Paths))
	}
	if slices.Sort(sizes); !slices.Equal(sizes, []int{20, 40, 40}) {
		t.Errorf("batches of %v", sizes)
	}
	if last.Progress != 100 || last.Total != 100 {
		t.Errorf("the last progress: %+v", last)
	}
}

// One agent that cannot be asked is the review's error, with its code.
func TestEditorFails(t *testing.T) {
	for _, name := range []string{"collector", "complexity", "linter", "historian"} {
		t.Run(name, func(t *testing.T) {
			root := tree(t)
			sys := crew(t, func(a agenttest.Agents) {
				tools := map[string]string{"collector": "files", "complexity": "measure", "linter": "lint",
					"historian": "churn"}
				a[name] = agenttest.Script{tools[name]: agent.Errorf(agent.CodeUnavailable, "gone fishing")}
			})
			if _, err := ask(sys, root); !errors.Is(err, agent.CodeUnavailable) ||
				!strings.Contains(err.Error(), "gone fishing") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestEditorRuns(t *testing.T) {
	root := tree(t)
	sys := crew(t, func(a agenttest.Agents) { a["editor"] = &Editor{Root: root, Top: 2, AtOnce: 1} })
	if err := sys.RunAgent(sys.Ctx(), "editor"); err != nil {
		t.Fatal(err)
	}
	out := strings.Join(strings.Fields(sys.Output()), " ")
	for _, want := range []string{"5 files,", "18 price.go 6 3 2026-02-07 Price:4 (6)", "linter mcp-sse 0 3 0 0s",
		"review.md"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, sys.Output())
		}
	}
}

func TestLatestReviewAndPrompt(t *testing.T) {
	root := tree(t)
	sys := crew(t, nil)
	if _, err := agent.ReadResource(sys.Ctx(), "editor", "review://latest"); !errors.Is(err, agent.CodeNotFound) {
		t.Errorf("before the first review: %v", err)
	}
	_, text := review(t, sys, root)
	p, err := agent.GetPrompt(sys.Ctx(), "editor.explain-hot-spot",
		map[string]string{"path": "price.go", "for": "newcomer"})
	if err != nil || len(p.Messages) != 1 || !strings.Contains(p.Messages[0].Content.Text, text) ||
		!strings.Contains(p.Messages[0].Content.Text, "newcomer") {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := agent.GetPrompt(sys.Ctx(), "editor.explain-hot-spot", nil); !errors.Is(err,
		agent.CodeInvalidArgument) {
		t.Errorf("without a path: %v", err)
	}
}
