package interop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

// A realServer is a server that people use, as they start it.
type realServer struct {
	name, version string
	tool          *toolbox.Tool
	argv          func(dir string) []string
	env           map[string]string
	calls         []realCall
}

type realCall struct {
	tool string
	args any
	want string // a part of the answer's text
}

// realServers are the servers of the agents; work is a folder of the test's.
func realServers(t *testing.T, work string) []realServer {
	t.Helper()
	node := func(name string, args ...string) func(dir string) []string {
		return func(dir string) []string {
			return append([]string{nodeProgram(t), filepath.Join(dir, "node_modules", "@modelcontextprotocol",
				"server-"+name, "dist", "index.js")}, args...)
		}
	}
	python := func(name string, args ...string) func(dir string) []string {
		return func(dir string) []string { return append([]string{toolbox.PythonIn(dir), "-m", name}, args...) }
	}
	sqlite := func(args ...string) func(dir string) []string { // it is no module to run with -m
		return func(dir string) []string {
			return append([]string{toolbox.PythonIn(dir), "-c", "import mcp_server_sqlite; mcp_server_sqlite.main()"},
				args...)
		}
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, "a page of loopback")
	}))
	t.Cleanup(site.Close)
	if err := os.WriteFile(filepath.Join(work, "note.txt"), []byte("grüße 🦊"), 0o600); err != nil {
		t.Fatal(err)
	}
	repository := filepath.Join(work, "repository")
	for _, args := range [][]string{{"init", "-q", "-b", "main", repository},
		{"-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m",
			"the first commit"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	type m = map[string]any
	return []realServer{
		{"everything", toolbox.RealServersVersion, toolbox.RealNode, node("everything", "stdio"), nil, []realCall{
			{"echo", m{"message": "hello"}, "hello"}, {"get-sum", m{"a": 2, "b": 3}, "5"},
			{"get-structured-content", m{"location": "Chicago"}, "temperature"}, {"get-tiny-image", m{}, ""}}},
		{"filesystem", toolbox.RealServersVersion, toolbox.RealNode, node("filesystem", work), nil, []realCall{
			{"read_text_file", m{"path": filepath.Join(work, "note.txt")}, "grüße 🦊"},
			{"list_directory", m{"path": work}, "note.txt"}}},
		{"memory", toolbox.RealServersVersion, toolbox.RealNode, node("memory"),
			map[string]string{"MEMORY_FILE_PATH": filepath.Join(work, "memory.jsonl")}, []realCall{
				{"create_entities", m{"entities": []m{{"name": "Ada", "entityType": "person",
					"observations": []string{"wrote programs"}}}}, ""}, {"read_graph", m{}, "Ada"}}},
		{"sequential-thinking", toolbox.RealServersVersion, toolbox.RealNode, node("sequential-thinking"), nil,
			[]realCall{
				{"sequentialthinking", m{"thought": "one", "nextThoughtNeeded": false, "thoughtNumber": 1,
					"totalThoughts": 1},
					"thoughtHistoryLength"}}},
		{"time", "", toolbox.RealPython, python("mcp_server_time", "--local-timezone", "UTC"), nil, []realCall{
			{"get_current_time", m{"timezone": "Asia/Tokyo"}, "Asia/Tokyo"},
			{"convert_time", m{"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}, "+9"}}},
		{"git", "", toolbox.RealPython, python("mcp_server_git", "--repository", repository), nil, []realCall{
			{"git_log", m{"repo_path": repository}, "the first commit"},
			{"git_status", m{"repo_path": repository}, "main"}}},
		{"fetch", "", toolbox.RealPython, python("mcp_server_fetch", "--allow-private-ips"), nil, []realCall{
			{"fetch", m{"url": site.URL + "/page"}, "a page of loopback"}}},
		{"sqlite", "", toolbox.RealSQLite, sqlite("--db-path", filepath.Join(work, "test.db")), nil,
			[]realCall{{"create_table", m{"query": "CREATE TABLE IF NOT EXISTS t (n INTEGER)"}, ""},
				{"write_query", m{"query": "INSERT INTO t VALUES (9007199254740993)"}, "1"},
				{"read_query", m{"query": "SELECT n FROM t LIMIT 1"}, "9007199254740993"}}},
	}
}

// realProject is a project file with each server as an agent, and every setting at its default. A
// server may be there more than once, with other names.
func realProject(t *testing.T, servers []realServer, suffixes ...string) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("project: real\ngateway: {listen: '127.0.0.1:0'}\nagents:\n")
	for _, s := range servers {
		argv, err := json.Marshal(s.argv(folder(s.tool))) // JSON is YAML
		if err != nil {
			t.Fatal(err)
		}
		env, err := json.Marshal(s.env)
		if err != nil {
			t.Fatal(err)
		}
		for _, suffix := range append(suffixes, "") {
			fmt.Fprintf(&out, "  %s%s:\n    command: %s\n", s.name, suffix, argv)
			if s.env != nil {
				fmt.Fprintf(&out, "    env: %s\n", env)
			}
		}
	}
	return out.String()
}

// realNeeds are the tools of the servers and of the clients.
func realNeeds(t *testing.T) {
	t.Helper()
	needs(t, toolbox.Node, toolbox.RealNode, toolbox.RealPython, toolbox.RealSQLite, toolbox.PythonNew, toolbox.Peers)
}

// Eight servers that people use are the agents of one project. Official clients list and call them
// all through the gateway. At the end no process is left.
func TestRealServers(t *testing.T) {
	realNeeds(t)
	servers := realServers(t, t.TempDir())
	began := time.Now()
	run := start(t, nil, openmas(t), "run", projectFile(t, realProject(t, servers)), "--log-format", "text")
	url := run.url(t)
	ready := time.Since(began)
	var calls [][2]any
	for _, s := range servers {
		for _, c := range s.calls {
			calls = append(calls, [2]any{s.name + "_" + c.tool, c.args})
		}
	}
	list, err := json.Marshal(calls)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients() {
		if c.version == toolbox.PythonOldVersion {
			continue
		}
		for _, transport := range []string{"http", "sse"} {
			t.Run(c.peer+" "+transport, func(t *testing.T) {
				noted := rows.add(t, c.peer, c.version, "eight real servers, their client", transport)
				needs(t, c.needs...)
				argv := append(c.command(t), "--transport", transport, "--calls", string(list), "--",
					url+endpoint(transport))
				tools := checkReal(t, start(t, nil, argv...).wait(t), servers)
				noted.result = fmt.Sprintf("%d tools, all ready after %.1f s", tools, ready.Seconds())
			})
		}
	}
	family := descendants(t, run.cmd.Process.Pid)
	if len(family) < len(servers) {
		t.Errorf("%d processes belong to the run, want one for each of %d servers", len(family), len(servers))
	}
	run.stop(t)
	patiently(t, func() error { // a child of a child is nobody's to wait for
		for pid, since := range family {
			if startOf(pid) == since {
				return fmt.Errorf("process %d is left", pid)
			}
		}
		return nil
	})
}

// Sixteen servers that people use start at once, with every setting at its default, as often as
// OPENMAS_INTEROP_STARTS says (make real STARTS=10): each time all are ready, at the first attempt.
func TestRealServersSixteenAtOnce(t *testing.T) {
	starts, _ := strconv.Atoi(os.Getenv("OPENMAS_INTEROP_STARTS"))
	if starts == 0 {
		t.Skip("OPENMAS_INTEROP_STARTS is not set: each start takes some seconds, or much more on a busy machine")
	}
	realNeeds(t)
	servers := realServers(t, t.TempDir())
	file := projectFile(t, realProject(t, servers, "-2"))
	noted := rows.add(t, "eight real servers, twice", "", "16 at once", "stdio")
	var took []string
	for n := range starts {
		began := time.Now()
		run := start(t, nil, openmas(t), "run", file, "--strict", "--log-format", "text")
		url := run.url(t)
		ready := time.Since(began)
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("start %d: /readyz answers %s", n+1, resp.Status)
		}
		run.stop(t)
		t.Logf("start %d: ready after %.1f s", n+1, ready.Seconds())
		took = append(took, fmt.Sprintf("%.1f", ready.Seconds()))
	}
	noted.result = "ready after " + strings.Join(took, ", ") + " s"
}

// checkReal looks at what a client printed, and returns how many tools it saw.
func checkReal(t *testing.T, out string, servers []realServer) int {
	t.Helper()
	var got struct {
		Broken             string
		Tools              []string
		Prompts, Resources []string
		Answers            map[string]answer
		Closed             bool
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Broken != "" || !got.Closed {
		t.Fatalf("the client printed %q: %v", out, err)
	}
	for _, s := range servers {
		listed := 0
		for _, tool := range got.Tools {
			if strings.HasPrefix(tool, s.name+"_") {
				listed++
			}
		}
		if listed == 0 {
			t.Errorf("no tool of %s is listed", s.name)
		}
		for _, c := range s.calls {
			a, ok := got.Answers[s.name+"_"+c.tool]
			if !ok || !a.good() || !strings.Contains(a.Text+string(a.Structured), c.want) {
				t.Errorf("%s.%s: %+v", s.name, c.tool, a)
			}
		}
	}
	if len(got.Prompts) == 0 || len(got.Resources) == 0 {
		t.Errorf("%d prompts, %d resources", len(got.Prompts), len(got.Resources))
	}
	return len(got.Tools)
}

// descendants are the processes that a process has started, directly or not, with the time at which
// each began. It knows them on Linux only.
func descendants(t *testing.T, pid int) map[int]string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skipf("there is no /proc to find processes in: %v", err)
	}
	parent := map[int]int{}
	for _, e := range entries {
		if id, err := strconv.Atoi(e.Name()); err == nil {
			if stat := procStat(id); len(stat) > 1 {
				parent[id], _ = strconv.Atoi(stat[1])
			}
		}
	}
	found := map[int]string{}
	for id := range parent {
		for up := parent[id]; up > 1; up = parent[up] {
			if up == pid {
				found[id] = startOf(id)
				break
			}
		}
	}
	return found
}

// procStat are the fields of a process behind its name: its state, its parent, and so on.
func procStat(pid int) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil // it has ended
	}
	text := string(raw)
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

// startOf is when a process began, in ticks since the machine did; "" once it has ended.
func startOf(pid int) string {
	stat := procStat(pid)
	if len(stat) < 20 || stat[0] == "Z" {
		return ""
	}
	return stat[19]
}
