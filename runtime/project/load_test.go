package project

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
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
	again.written, again.expanded, again.redactor = c.written, c.expanded, c.redactor
	again.Dir, again.File = c.Dir, c.File
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
				"p.yaml:4:30: agents.a.config: unknown key \"x\" in deep; known: Y",
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

// A number keeps what it was written as: 1.0 is not "1".
func TestANumberForText(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte("agents: {a: {command: [x, 1.0, ~]}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, Options{Environ: []string{}})
	if err == nil || !strings.Contains(err.Error(), "not the number 1.0; write it in quotes: \"1.0\"\n") ||
		!strings.HasSuffix(err.Error(), "has no value; write it in quotes where it is a text: \"~\"") {
		t.Error(err)
	}
}

// Two projects in one folder keep nothing in common. Who looks at what was kept finds the folder as
// whoever keeps it, without the project's secrets.
func TestStateDir(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"agents: {a: {type: x}}":                             filepath.Join(".openmas", "openmas"),
		"project: shop\nagents: {a: {type: x}}":              filepath.Join(".openmas", "shop"),
		"project: shop\nstate: kept\nagents: {a: {type: x}}": "kept",
		"project: \"${env:NAME}\"\nagents: {a: {type: x}}":   filepath.Join(".openmas", "named"),
	} {
		path := filepath.Join(dir, "p.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Environ: []string{"NAME=named"}}
		got, err := StateDir(path, o)
		cfg, loadErr := Load(path, o)
		if err != nil || loadErr != nil || got != filepath.Join(dir, want) || cfg.StateDir() != got {
			t.Errorf("%q: %q, %v, %v", text, got, err, loadErr)
		}
	}
	for text, want := range map[string]string{"project: [a]": "project: want a text", "project: A/..": "is not a name",
		"state: 3": "state: want a text"} {
		path := filepath.Join(dir, "p.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := StateDir(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A text in place of a list is written out as the list that was meant, unless it may be a secret.
func TestATextForAList(t *testing.T) {
	for text, want := range map[string]string{
		"python x":              "write [python, x]",
		"npx -y @scope/x --n 1": `write [npx, "-y", "@scope/x", "--n", "1"]`,
		"srv yes":               `write [srv, "yes"]`,
		"sh -c 'a b'":           "write [a, b]",
		"srv ${env:TOKEN}":      "write [a, b]",
	} {
		path := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(path, []byte("agents: {a: {command: \""+text+"\"}}"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, Options{Environ: []string{"TOKEN=s3cret"}})
		if err == nil || !strings.HasSuffix(err.Error(), "; "+want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
