package runtime_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// Probe asks the foreign agents alone, each once, and a Runtime that has probed does not run.
func TestProbe(t *testing.T) {
	testkit.Processes(t)
	cfg := &project.Config{Project: "asked", Agents: map[string]project.Agent{"docs": stranger(t, "stdio", nil),
		"broken": stranger(t, "exits", nil), "far": {Type: "probe"}}, Start: project.Start{Parallel: 1}}
	r, err := runtime.New(cfg, types(nil), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var done []string
	note := func(p runtime.Probed) { done = append(done, p.Agent) }
	all, err := r.Probe(t.Context(), runtime.ProbeOptions{Done: note})
	if err != nil || len(all) != 2 || len(done) != 2 {
		t.Fatalf("%v, %+v, %q", err, all, done)
	}
	broken, docs := all[0], all[1]
	if code, _ := client.ExitCode(broken.Err); broken.Agent != "broken" || code != 3 {
		t.Errorf("%+v", broken)
	}
	if _, there := docs.Info.Tool("docs.search"); docs.Agent != "docs" || docs.Err != nil || !there {
		t.Errorf("%+v", docs)
	}
	if err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "make a new one") {
		t.Errorf("run: %v", err)
	}
}

// A probe of a program that says nothing ends with its context, and so does the program.
func TestProbeIsGivenUp(t *testing.T) {
	testkit.Processes(t)
	silent := stranger(t, "stdio", nil)
	silent.Command = []string{"sleep", "1000"}
	cfg := &project.Config{Project: "asked", Agents: map[string]project.Agent{"silent": silent}}
	r, err := runtime.New(cfg, types(nil), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	all, err := r.Probe(ctx, runtime.ProbeOptions{})
	if err == nil || len(all) != 1 || all[0].Err == nil || all[0].Took > 20*time.Second {
		t.Errorf("%v, %+v", err, all)
	}
}
