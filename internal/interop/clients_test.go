package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/communicator/communicatortest"
	"github.com/openmas/openmas/internal/interop/toolbox"
)

// project is a system of ours with the agent peer on its gateway.
const project = `
project: interop
agents:
  peer: {type: peer}
gateway: {listen: "127.0.0.1:0"}
`

// serve runs a project and returns the URL of its gateway.
func serve(t *testing.T, yaml string) string {
	t.Helper()
	return start(t, nil, system(t), "run", projectFile(t, yaml), "--log-format", "text").url(t)
}

func projectFile(t *testing.T, yaml string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A clientProgram is a program of testdata, or one of its ways to connect.
type clientProgram struct {
	peer, version string
	needs         []*toolbox.Tool
	transports    []string
	command       func(t *testing.T) []string
}

func clients() []clientProgram {
	python := func(tool *toolbox.Tool, flags ...string) func(t *testing.T) []string {
		return func(t *testing.T) []string {
			script, err := filepath.Abs(filepath.Join("testdata", "python", "client.py"))
			if err != nil {
				t.Fatal(err)
			}
			return append([]string{toolbox.PythonIn(folder(tool)), script}, flags...)
		}
	}
	all := []string{"stdio", "sse", "http"}
	return []clientProgram{
		{"Python ClientSession", toolbox.PythonOldVersion, []*toolbox.Tool{toolbox.PythonOld}, []string{"stdio", "sse"},
			python(toolbox.PythonOld)},
		{"Python ClientSession", toolbox.PythonNewVersion, []*toolbox.Tool{toolbox.PythonNew}, all,
			python(toolbox.PythonNew)},
		{"Python Client", toolbox.PythonNewVersion, []*toolbox.Tool{toolbox.PythonNew}, all,
			python(toolbox.PythonNew, "--api", "client")},
		{"fastmcp Client", toolbox.FastMCPVersion, []*toolbox.Tool{toolbox.FastMCP}, all,
			python(toolbox.FastMCP, "--api", "fastmcp")},
		{"TypeScript SDK", toolbox.TypeScriptVersion, []*toolbox.Tool{toolbox.Node, toolbox.Peers}, all,
			func(t *testing.T) []string {
				return []string{nodeProgram(t), filepath.Join(bench.scripts, "client.mjs")}
			}},
		{"mcp-go", mcpGoVersion(), nil, all, func(t *testing.T) []string { return []string{mcpGo(t), "client"} }},
	}
}

// mcpGoVersion is what the module of the peer pins.
func mcpGoVersion() string {
	mod, err := os.ReadFile(filepath.Join("mcpgo", "go.mod"))
	if err != nil {
		return err.Error()
	}
	_, rest, _ := strings.Cut(string(mod), "github.com/mark3labs/mcp-go v")
	version, _, _ := strings.Cut(rest, "\n")
	return version
}

// An answer is what a client saw of a tool's result.
type answer struct {
	Timeout    bool            `json:"timeout"`
	Refused    string          `json:"refused"` // an error of the protocol
	IsError    bool            `json:"is_error"`
	Types      []string        `json:"types"`
	Text       string          `json:"text"`
	Structured json.RawMessage `json:"structured"`
}

// good reports whether the tool answered.
func (a answer) good() bool { return !a.Timeout && a.Refused == "" && !a.IsError }

// seen is what a client prints.
type seen struct {
	Broken   string   `json:"broken"`
	Protocol string   `json:"protocol"`
	Server   string   `json:"server"`
	Tools    []string `json:"tools"`
	Echo     []struct {
		Value  any    `json:"value"`
		Same   bool   `json:"same"`
		Answer answer `json:"answer"`
	} `json:"echo"`
	Add, Fail, Invalid, Unknown, Late, Slow, Nested, Ask answer
	Together                                             []string
	Prompt, Resource                                     string
	Closed                                               bool
	Good                                                 int
}

// Each client against a running system, on the gateway and under the agent's own path, and on a
// system's stdin and stdout.
func TestClientsOfARunningSystem(t *testing.T) {
	for _, c := range clients() {
		for _, transport := range c.transports {
			t.Run(fmt.Sprintf("%s %s %s", c.peer, c.version, transport), func(t *testing.T) {
				noted := rows.add(t, c.peer, c.version, theirClient, transport)
				needs(t, c.needs...)
				t.Parallel()
				argv := append(c.command(t), "--transport", transport, "--extras", "--prefix")
				if transport == "stdio" {
					got := look(t, append(argv, "peer_", "--", system(t), "run",
						projectFile(t, "project: interop\nagents: {peer: {type: peer}}\n"), "--stdio"))
					noted.result = "ok, protocol " + got.Protocol
					check(t, got, "peer_")
					return
				}
				url := serve(t, project)
				got := look(t, append(argv, "peer_", "--", url+endpoint(transport)))
				agents := look(t, append(argv, "", "--", url+"/agents/peer"+endpoint(transport)))
				noted.result = "ok, protocol " + got.Protocol
				if c.peer == "mcp-go" && transport == "sse" {
					noted.result += ", answers no question of a server"
					notAsked(t, &got)
					notAsked(t, &agents)
				}
				check(t, got, "peer_")
				check(t, agents, "")
				// One that vanishes after its first call leaves no trace for the next ones.
				gone := look(t, append(c.command(t), "--transport", transport, "--abrupt", "--prefix", "peer_", "--",
					url+endpoint(transport)))
				if len(gone.Echo) != len(values) {
					t.Errorf("the client that vanishes: %+v", gone)
				}
				// Nothing about these clients is unusual: most of their calls pass beside the SDK,
				// in whatever version they use.
				if n := fastCalls(t, url); n < 20 {
					t.Errorf("%d calls took the fast path", n)
				}
				if many := look(t, append(c.command(t), "--transport", transport, "--clients", "10", "--prefix",
					"peer_", "--", url+endpoint(transport))); many.Good != 10 {
					t.Errorf("%d of 10 clients at once were served: %+v", many.Good, many)
				}
			})
		}
	}
}

// Each client that can start programs, through openmas mcp connect, over both transports. Those
// that try the newest protocol first fall back to the handshake.
func TestClientsOfABridge(t *testing.T) {
	for _, c := range clients() {
		for _, over := range []string{"sse", "http"} {
			t.Run(fmt.Sprintf("%s %s over %s", c.peer, c.version, over), func(t *testing.T) {
				noted := rows.add(t, c.peer, c.version, theirClient, "openmas mcp connect, "+over)
				needs(t, c.needs...)
				t.Parallel()
				argv := append(c.command(t), "--transport", "stdio", "--extras", "--prefix", "peer_", "--", openmas(t),
					"mcp", "connect", "--stdio", "--url", serve(t, project)+endpoint(over))
				got := look(t, argv)
				noted.result = "ok, protocol " + got.Protocol
				check(t, got, "peer_")
				if got.Protocol >= newest {
					t.Errorf("protocol %s has no handshake", got.Protocol)
				}
			})
		}
	}
}

// Clients whose connections break while a tool runs come back for its answer.
func TestClientsThatLoseTheirConnection(t *testing.T) {
	for _, c := range clients() {
		// Clients of the newest protocol have no handshake, and so nothing to come back for.
		// mcp-go's does not ask for the rest of a stream that broke.
		if !slices.Contains(c.transports, "http") || strings.HasSuffix(c.peer, "Client") || c.peer == "mcp-go" {
			continue
		}
		for _, way := range []string{"http", "openmas mcp connect"} {
			t.Run(fmt.Sprintf("%s %s %s", c.peer, c.version, way), func(t *testing.T) {
				noted := rows.add(t, c.peer, c.version, theirClient, way+", connection cut")
				needs(t, c.needs...)
				t.Parallel()
				at := serve(t, project+"mcp: {resume: 1MiB}\n")
				proxy := communicatortest.NewProxy(t, strings.TrimPrefix(at, "http://"))
				url := "http://" + proxy.Addr + "/mcp"
				argv := append(c.command(t), "--cut", "--prefix", "peer_", "--transport")
				if way == "http" {
					argv = append(argv, "http", "--", url)
				} else {
					argv = append(argv, "stdio", "--", openmas(t), "mcp", "connect", "--stdio", "--url", url)
				}
				p := start(t, nil, argv...)
				p.await(t, "begun")
				proxy.Sever()
				var got seen
				if out := p.wait(t); json.Unmarshal([]byte(out), &got) != nil || !got.Slow.good() ||
					got.Slow.Text != "done" {
					t.Errorf("the client printed %q", out)
				}
				noted.result = "ok, protocol " + got.Protocol
			})
		}
	}
}

func endpoint(transport string) string {
	if transport == "http" {
		return "/mcp"
	}
	return "/sse"
}

// look runs a client.
func look(t *testing.T, argv []string) seen {
	t.Helper()
	out := start(t, nil, argv...).wait(t)
	var s seen
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.Broken != "" {
		t.Fatalf("the client printed %q: %v", out, err)
	}
	return s
}

// notAsked takes for answered what a client could not be asked: mcp-go's over HTTP+SSE says that it
// has a model and drops the requests of a server. If it answers one, this is to be deleted.
func notAsked(t *testing.T, s *seen) {
	t.Helper()
	if !s.Ask.Timeout {
		t.Errorf("mcp-go answers a server over HTTP+SSE now: %+v", s.Ask)
	}
	s.Ask = answer{Text: askedText}
}

const askedText = "the model says: you asked why?"

// check compares what a client saw with what the agent peer is.
func check(t *testing.T, s seen, prefix string) {
	t.Helper()
	for _, tool := range []string{"echo", "add", "fail", "slow", "nested", "count", "ask"} {
		if !slices.Contains(s.Tools, prefix+tool) {
			t.Errorf("tool %s is not listed: %v", prefix+tool, s.Tools)
		}
	}
	if len(s.Echo) != len(values) {
		t.Errorf("echo: %+v", s.Echo)
	}
	for _, e := range s.Echo {
		if !e.Same {
			t.Errorf("echo %v: %+v", e.Value, e.Answer)
		}
	}
	if !s.Add.good() || s.Add.Text != "5.5" {
		t.Errorf("add: %+v", s.Add)
	}
	if !s.Fail.IsError || s.Fail.Text != "as asked" {
		t.Errorf("fail: %+v", s.Fail)
	}
	if !s.Invalid.IsError || !strings.Contains(s.Invalid.Text, "invalid_argument") {
		t.Errorf("invalid arguments: %+v", s.Invalid)
	}
	if !strings.Contains(s.Unknown.Refused, "no-such-tool") {
		t.Errorf("a tool that does not exist: %+v", s.Unknown)
	}
	if !s.Late.Timeout || !s.Slow.good() || s.Slow.Text != "done" {
		t.Errorf("a call that the client gave up, and the next: %+v %+v", s.Late, s.Slow)
	}
	if !s.Nested.good() || !strings.Contains(s.Nested.Text, "日本") || !strings.Contains(s.Nested.Text, "🦊") {
		t.Errorf("nested: %+v", s.Nested)
	}
	if !s.Ask.good() || s.Ask.Text != askedText {
		t.Errorf("a tool that asks the client's model: %+v", s.Ask)
	}
	for i := range 20 {
		if len(s.Together) != 20 || s.Together[i] != fmt.Sprint(i+1) {
			t.Errorf("20 at once: %v", s.Together)
			break
		}
	}
	if s.Prompt != "Greet Ada, please." || s.Resource != "Today is a good day." || !s.Closed {
		t.Errorf("prompt %q, resource %q, closed %v", s.Prompt, s.Resource, s.Closed)
	}
}
