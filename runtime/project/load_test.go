package project

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustLoad(t *testing.T, path string, opts Options) *Config {
	t.Helper()
	if opts.Environ == nil {
		opts.Environ = []string{}
	}
	c, err := Load(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLoadLayers sets one key in more and more layers: the latest wins, and its place is known.
func TestLoadLayers(t *testing.T) {
	project(t, map[string]string{
		"sub/p.yaml": "agents:\n  a:\n    type: x\n    config: {list: [1, 2], gone: 1}\n    timeout: 2s\ndrain: " +
			"{timeout: 2s}\ngateway: {}\n",
		"sub/p.prod.yaml": "agents:\n  a: {timeout: 3s, config: {list: [3], gone: null}}\n  b: {type: y}\n",
	})
	path := filepath.Join("sub", "p.yaml")
	env := []string{"OPENMAS_CONFIG__agents__a__timeout=4s", "OPENMAS_CONFIG__agents__a__config__n=[1, {x: y}]",
		"PATH=/bin", "OPENMAS_CONFIG__gateway=null"}
	for _, tc := range []struct {
		name    string
		opts    Options
		timeout time.Duration
		at      string
	}{
		{"file", Options{}, 2 * time.Second, path + ":5:14"},
		{"profile", Options{Profile: "prod"}, 3 * time.Second, filepath.Join("sub", "p.prod.yaml") + ":2:16"},
		{"environment", Options{Profile: "prod", Environ: env}, 4 * time.Second, "environment variable " +
			"OPENMAS_CONFIG__agents__a__timeout"},
		{"set", Options{Profile: "prod", Environ: env, Set: []string{"agents.a.timeout=5s"}}, 5 * time.Second,
			"--set agents.a.timeout"},
		{"the last set", Options{Set: []string{"agents.a.timeout=5s", "agents.a.timeout=6s"}}, 6 * time.Second,
			"--set agents.a.timeout"},
		{"reset", Options{Profile: "prod", Environ: env, Set: []string{"agents.a.timeout=null"}}, 0, "default"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := mustLoad(t, path, tc.opts)
			if got := c.Agents["a"].Timeout; got != tc.timeout {
				t.Errorf("timeout %v, want %v", got, tc.timeout)
			}
			if got := c.Position("agents", "a", "timeout").String(); got != tc.at {
				t.Errorf("at %s, want %s", got, tc.at)
			}
			if c.Drain.Timeout != 2*time.Second || c.Connect.Timeout != 10*time.Second {
				t.Errorf("drain %v, connect %v", c.Drain.Timeout, c.Connect.Timeout)
			}
		})
	}

	c := mustLoad(t, path, Options{Profile: "prod", Environ: env})
	want := map[string]any{"list": []any{int64(3)}, "n": []any{int64(1), map[string]any{"x": "y"}}}
	if got := c.Agents["a"].Config; !reflect.DeepEqual(got, want) {
		t.Errorf("config %#v, want %#v", got, want)
	}
	if c.Gateway != nil {
		t.Error("null in a layer did not take the gateway away")
	}
	if got := c.AgentNames(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("agents %v", got)
	}
	if wd, _ := os.Getwd(); c.Dir != filepath.Join(wd, "sub") || c.Path("x") != filepath.Join(wd, "sub", "x") {
		t.Errorf("dir %s, path %s", c.Dir, c.Path("x"))
	}
	if got := c.Position("agents", "a").String(); got != path+":2:3" {
		t.Errorf("agent at %s: a map stands where it was written first", got)
	}
}

// TestLayersThatMeet: a mapping over a value that is none, and the other way round; what a layer
// took back does not come again with the next.
func TestLayersThatMeet(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {type: x, retry: {attempts: 5, max: 20s}, tools: {t: " +
		"{timeout: 1s}}}\n  b: {type: y}\ngateway: {listen: \"127.0.0.1:1\", expose: [a]}\n"})
	for _, tc := range []struct {
		name string
		set  []string
		ok   func(c *Config) bool
	}{
		{"off over a mapping", []string{"agents.a.retry=off"}, func(c *Config) bool {
			return c.PolicyFor("a", "t").Retry.Attempts == 1 && c.PolicyFor("a", "t").Retry.Max == 10*time.Second
		}},
		{"a mapping over off", []string{"gateway=off", "gateway.expose=[b]"}, func(c *Config) bool {
			return c.Gateway.Listen == "127.0.0.1:8765" && slices.Equal(c.Gateway.Expose, []string{"b"})
		}},
		{"null, and then again", []string{"agents.a.tools=null", "agents.a.tools.u.timeout=2s"}, func(c *Config) bool {
			return len(c.Agents["a"].Tools) == 1 && c.Agents["a"].Tools["u"].Timeout == 2*time.Second
		}},
		{"an agent less", []string{"agents.b=null"}, func(c *Config) bool {
			return slices.Equal(c.AgentNames(), []string{"a"})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c := mustLoad(t, "p.yaml", Options{Set: tc.set}); !tc.ok(c) {
				t.Errorf("%+v, gateway %+v", c.Agents["a"], c.Gateway)
			}
		})
	}
}

// TestOff: whatever can be off says off, on every level, and only that.
func TestOff(t *testing.T) {
	project(t, map[string]string{"p.yaml": `agents:
  a: {type: x, critical: off, retry: {attempts: off}, tools: {t: {retry: off, idempotent: off}}}
defaults: {retry: off}
gateway: off
telemetry: off
mcp: {session_idle: off, session_lifetime: off, keep_alive: off, resume: off, poll: off, sampling: off, fast_path: off}
`})
	c := mustLoad(t, "p.yaml", Options{})
	a := c.Agents["a"]
	if a.Critical || a.Retry.Attempts != 1 || a.Tools["t"].Retry.Attempts != 1 || *a.Tools["t"].Idempotent ||
		c.Defaults.Retry.Attempts != 1 || c.Gateway != nil || c.Telemetry.Endpoint != "off" {
		t.Errorf("agent %+v, defaults %+v, gateway %+v, telemetry %+v", a, c.Defaults, c.Gateway, c.Telemetry)
	}
	m := c.MCP
	if m.SessionIdle != Off || m.SessionLifetime != Off || m.KeepAlive != Off || m.Resume != Off || m.Poll != Off ||
		m.Sampling != "" || *m.FastPath {
		t.Errorf("mcp %+v", m)
	}
	for _, key := range []string{"defaults.timeout", "drain.timeout", "mcp.max_body", "agents.a.replicas"} {
		_, err := Load("p.yaml", Options{Environ: []string{}, Set: []string{key + "=off"}})
		if want := key + ": cannot be off; "; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestSetIsTyped: where text is wanted the value is taken as it is, elsewhere it is YAML.
func TestSetIsTyped(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {command: [x]}\n"})
	c := mustLoad(t, "p.yaml", Options{Set: []string{
		"agents.a.env.PORT=8080",
		"agents.a.env.EMPTY=",
		"agents.a.env.HASH=a #b: c",
		`agents.a.env.QUOTED="8 0"`,
		"agents.a.env.HALF=\"x",
		"agents.a.env.BOOL=true",
		"agents.a.command=[python3, -m, server]",
		`agents.a.tools."docs.search".retry.attempts=7`,
		`agents.a.tools."docs.search".idempotent=false`,
		"mcp.max_body=2MiB",
		"mcp.max_frame=4096",
		"mcp.fast_path=false",
		"gateway={}",
		"defaults.retry.multiplier=3",
	}})
	a := c.Agents["a"]
	wantEnv := map[string]string{"PORT": "8080", "EMPTY": "", "HASH": "a #b: c", "QUOTED": "8 0", "HALF": `"x`,
		"BOOL": "true"}
	if !reflect.DeepEqual(a.Env, wantEnv) {
		t.Errorf("env %v", a.Env)
	}
	if !slices.Equal(a.Command, []string{"python3", "-m", "server"}) {
		t.Errorf("command %v", a.Command)
	}
	tool := a.Tools["docs.search"]
	if tool.Retry.Attempts != 7 || tool.Idempotent == nil || *tool.Idempotent {
		t.Errorf("tool %+v", tool)
	}
	if c.MCP.MaxBody != 2*MiB || c.MCP.MaxFrame != 4096 || c.Gateway == nil || c.Gateway.Listen != "127.0.0.1:8765" ||
		c.Defaults.Retry.Multiplier != 3 {
		t.Errorf("mcp %+v, gateway %+v, defaults %+v", c.MCP, c.Gateway, c.Defaults)
	}
}

// TestYAMLFeatures: anchors, merge keys, dotted keys, literals and tags.
func TestYAMLFeatures(t *testing.T) {
	project(t, map[string]string{"p.yaml": `%YAML 1.2
---
agents:
  a: &base
    type: x
    timeout: 3s
    config:
      text: |-
        two
        lines
  b:
    replicas: 2
    <<: *base
    timeout: 4s
  c: {<<: [*base, {type: z, run: all}], config: {version: !!str 1.10}}
  d: *base
  e: {type: x, tools: {docs.search: {timeout: 3s}, "a b": {timeout: 4s}}}
`})
	if err := os.WriteFile("p.yaml", []byte("\ufeff"+strings.ReplaceAll(mustRead(t, "p.yaml"), "\n", "\r\n")),
		0o644); err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, "p.yaml", Options{})
	b := c.Agents["b"]
	if b.Type != "x" || b.Timeout != 4*time.Second || b.Replicas != 2 || b.Config["text"] != "two\nlines" {
		t.Errorf("b: %+v", b)
	}
	if cc := c.Agents["c"]; cc.Type != "x" || cc.Run != "all" || cc.Config["version"] != "1.10" ||
		cc.Config["text"] != nil {
		t.Errorf("c: %+v", cc)
	}
	if d := c.Agents["d"]; d.Type != "x" || d.Timeout != 3*time.Second {
		t.Errorf("d: %+v", d)
	}
	if got := c.PolicyFor("e", "docs.search").Timeout; got != 3*time.Second {
		t.Errorf("docs.search: %v", got)
	}
	if got := c.Position("agents", "b", "type").Line; got != 5 {
		t.Errorf("a merged value stands at line %d, want that of its anchor, 5", got)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSecrets: what ${…} puts in arrives, converts where a number is wanted, and is never shown.
func TestSecrets(t *testing.T) {
	project(t, map[string]string{
		"p.yaml": `agents:
  a:
    command: [run, "--token=${file:secrets/token}"]
    replicas: ${env:N}
    critical: ${env:YES}
    timeout: ${env:T}
    env: {A: "${env:A}", B: "$${env:A}", C: "x${env:EMPTY}y"}
    tools: {t: {idempotent: "${env:YES}"}}
  b: {type: x, config: {port: "${env:N}"}}
`,
		"secrets/token": "to\"ken-123\r\n",
	})
	c := mustLoad(t, "p.yaml", Options{Environ: []string{"N=3", "YES=true", "T=3s", "A=sesame-open", "EMPTY="},
		Set: []string{"agents.a.env.D=${env:A}"}})
	a := c.Agents["a"]
	if a.Command[1] != `--token=to"ken-123` || a.Replicas != 3 || !a.Critical || a.Timeout != 3*time.Second ||
		!*a.Tools["t"].Idempotent {
		t.Errorf("%+v", a)
	}
	if a.Env["A"] != "sesame-open" || a.Env["B"] != "${env:A}" || a.Env["C"] != "xy" || a.Env["D"] != "sesame-open" {
		t.Errorf("env %v", a.Env)
	}
	var agent struct {
		Port int `json:"port"`
	}
	if err := Fill(&agent, c.Agents["b"].Config); err != nil || agent.Port != 3 {
		t.Errorf("port %d, %v", agent.Port, err)
	}
	var printed bytes.Buffer
	if err := Print(&printed, c); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		printed.String(), c.String(),
		c.Redact(`dial: sesame-open refused: "to\"ken-123" to"ken-123`),
		c.Errorf([]string{"agents", "a"}, "cannot use %s", "sesame-open").Error(),
		c.Locate([]string{"agents", "a"}, errors.New("cannot use sesame-open")).Error(),
	} {
		if strings.Contains(text, "sesame") || strings.Contains(text, "ken-123") {
			t.Errorf("a secret is shown: %s", text)
		}
	}
	if want := `[run, "--token=***"]`; !strings.Contains(printed.String(), want) {
		t.Errorf("no %s in:\n%s", want, &printed)
	}
}

func TestPrint(t *testing.T) {
	opts := Options{
		Environ: []string{"DB=/var/lib/db", "SEARCH_TOKEN=s3cr3t99", "OPENMAS_CONFIG__agents__search__timeout=3s"},
		Set:     []string{`agents.search.tools."docs.search".timeout=4s`, "agents.notes.env.X=8080"},
	}
	c := mustLoad(t, "testdata/project.yaml", opts)
	var b bytes.Buffer
	if err := Print(&b, c); err != nil {
		t.Fatal(err)
	}
	golden(t, "print.golden", b.String())

	// What is printed loads to the same, but for the secrets.
	project(t, map[string]string{"p.yaml": b.String()})
	again := mustLoad(t, "p.yaml", Options{})
	c.Agents["notes"].Env["DB"] = "***"
	c.Agents["search"].Headers["Authorization"] = "Bearer ***"
	again.written, again.secrets, again.Dir, again.File = c.written, c.secrets, c.Dir, c.File
	if !reflect.DeepEqual(c, again) {
		t.Errorf("printed and loaded again:\n%+v\nwas:\n%+v", again.Agents, c.Agents)
	}
	if err := Print(failingWriter{}, c); err == nil {
		t.Error("a failing writer is not reported")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

// TestErrorf: the runtime's own findings get the place of what they are about.
func TestErrorf(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a:\n    type: nope\n    config: {root: 5, deep: {x: 1}}\n"})
	c := mustLoad(t, "p.yaml", Options{})
	for _, tc := range []struct {
		err  error
		want string
	}{
		{c.Errorf([]string{"agents", "a", "type"}, "no type %q", "nope"), `p.yaml:3:11: no type "nope"`},
		{c.Errorf([]string{"agents", "a", "communicator"}, "x"), `p.yaml:2:3: x`},
		{c.Errorf([]string{"gateway", "listen"}, "x"), `p.yaml: x`},
		{c.Locate([]string{"agents", "a", "config"}, nil), ""},
		{c.Locate([]string{"agents", "a", "config"}, errors.New("odd")), "p.yaml:4:5: agents.a.config: odd"},
		{
			c.Locate([]string{"agents", "a", "config"}, Fill(&struct {
				Root string `json:"root"`
				Deep struct{ Y int }
			}{}, c.Agents["a"].Config)),
			"p.yaml:4:20: agents.a.config.root: wants text, not the number 5; write it in quotes: \"5\"\n" +
				"p.yaml:4:33: agents.a.config: unknown key \"x\" in deep; known: Y",
		},
	} {
		got := ""
		if tc.err != nil {
			got = tc.err.Error()
		}
		if got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestFindProject(t *testing.T) {
	project(t, map[string]string{"configs/project.yaml": "", "both/openmas.yaml": "", "both/configs/project.yaml": "",
		"none/x": ""})
	for dir, want := range map[string]string{
		".":    filepath.Join("configs", "project.yaml"),
		"":     filepath.Join("configs", "project.yaml"),
		"both": filepath.Join("both", "openmas.yaml"),
	} {
		if got, err := Find(dir); got != want || err != nil {
			t.Errorf("Find(%q) = %q, %v; want %q", dir, got, err, want)
		}
	}
	_, err := Find("none")
	var one *Error
	if !errors.As(err, &one) || !strings.Contains(err.Error(), "openmas.yaml") ||
		!strings.Contains(err.Error(), "project.yaml") {
		t.Errorf("%v", err)
	}
	for path, want := range map[string]string{
		"none": "none: is a folder, not a project file; name the project file in it",
		"both": "both: is a folder, not a project file; did you mean " + filepath.Join("both", "openmas.yaml") +
			"?",
		"none.yaml": "none.yaml: there is no such file; name a project file; by default it is openmas.yaml, then " +
			filepath.Join("configs", "project.yaml"),
	} {
		if _, err := Load(path, Options{}); err == nil || err.Error() != want {
			t.Errorf("Load(%q): %v\nwant %s", path, err, want)
		}
	}
}

// FuzzLoad: no file, variable or flag makes Load panic, and what it accepts is valid and can be
// printed.
func FuzzLoad(f *testing.F) {
	seed, err := os.ReadFile("testdata/project.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, "3s", "agents.a.timeout=3s")
	f.Add([]byte("agents: {a: {type: x}}"), "{x: [1, 2]}", `agents.a.tools."b.c"={timeout: 3s}`)
	f.Add([]byte("a: &a [*a]\n? b\n: c\n<<: {x: y}\n"), "${env:X}", "=")
	path := filepath.Join(f.TempDir(), "p.yaml")
	f.Fuzz(func(t *testing.T, file []byte, env, set string) {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, Options{Environ: []string{"DB=x", "SEARCH_TOKEN=abcdefgh",
			"OPENMAS_CONFIG__agents__a=" + env}, Set: []string{set}})
		if err != nil {
			var list Errors
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("loaded, but not valid: %v", err)
		}
		var b bytes.Buffer
		if err := Print(&b, c); err != nil {
			t.Fatal(err)
		}
	})
}
