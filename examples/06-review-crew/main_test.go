package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/runtime"
)

// mainVar in the environment makes the test binary the program of this package: so tests run the
// real thing, and that starts its children.
const mainVar = "OPENMAS_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVar) != "" || os.Getenv(runtime.ChildVar) != "" {
		main()
	}
	os.Exit(m.Run())
}

// crew runs the five agents in memory, with a stand-in for the runtime's own agent.
func crew(t *testing.T, change func(agenttest.Agents)) *agenttest.System {
	t.Helper()
	isolateGit(t)
	status := map[string]any{"agents": []any{map[string]any{"name": "linter", "communicator": "mcp-sse", "calls": 3}}}
	agents := agenttest.Agents{"openmas": agenttest.Script{"status": status}}
	for name, construct := range Types() {
		agents[name] = construct()
	}
	if change != nil {
		change(agents)
	}
	return agenttest.Run(t, agents, agenttest.ByHand())
}

// review has the crew review a tree, and returns the report for programs and the one for people.
func review(t *testing.T, sys *agenttest.System, root string) (*Review, string) {
	t.Helper()
	r, err := agent.Ask[*Review](sys.Ctx(), "editor.review", Tree{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	sys.Settle()
	contents, err := agent.ReadResource(sys.Ctx(), "editor", "review://latest")
	if err != nil || len(contents) != 1 {
		t.Fatalf("the latest review: %v, %v", contents, err)
	}
	return r, contents[0].Text
}

// isolateGit keeps the machine's git configuration, and repositories around the temporary folder,
// out of a test.
func isolateGit(t *testing.T) {
	t.Helper()
	for name, value := range gitEnv(t.TempDir()) {
		t.Setenv(name, value)
	}
}

func gitEnv(home string) map[string]string {
	return map[string]string{"HOME": home, "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1",
		"GIT_CEILING_DIRECTORIES": filepath.Dir(os.TempDir()) + string(filepath.ListSeparator) + os.TempDir()}
}

func gitIn(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	for name, value := range gitEnv(t.TempDir()) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// write writes files by their path below dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
