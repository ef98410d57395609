package deploy

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime/project"
)

var update = flag.Bool("update", false, "write the expected files anew")

func TestMain(m *testing.M) {
	if testkit.OnlyProcesses() {
		return
	}
	goleak.VerifyTestMain(m)
}

// The files for four projects, as they are expected. Those in YAML are YAML.
func TestFiles(t *testing.T) {
	for name, text := range map[string]string{
		"bare": "project: bare\nagents:\n  a: {type: a}\ndrain: {timeout: 5s}\n",
		"crew": "project: p\nagents:\n  a: {command: [python3, a.py], env: {KEY: \"${env:KEY}\"}}\ngateway: {}\n",
		"mixed": "project: m\nagents:\n  a: {command: [uvx, a]}\n  b: {command: [npx, b]}\n" +
			"gateway: {listen: \"127.0.0.1:0\"}\nops: {listen: \"127.0.0.1:9999\"}\n",
		"dist": "project: d\nagents:\n  a: {command: [node, a.py]}\n", // built into a folder of its own
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.py"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := project.Load(filepath.Join(dir, name+".yaml"), project.Options{Text: []byte(text),
				Environ: []string{"KEY=x"}})
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, name)
			if name == "dist" {
				out = filepath.Join(out, name)
			}
			d := describe(cfg, out, []string{"KEY"}[:strings.Count(text, "${env:KEY}")])
			for _, k := range kinds {
				for _, file := range k.files {
					got, err := d.render(file)
					if err != nil {
						t.Fatal(err)
					}
					if strings.HasSuffix(file, ".yaml") {
						for in := yaml.NewDecoder(bytes.NewReader(got)); ; {
							var v map[string]any
							if err := in.Decode(&v); err == io.EOF {
								break
							} else if err != nil {
								t.Errorf("%s: %v", file, err)
								break
							}
						}
					}
					golden := filepath.Join("testdata", name, strings.TrimPrefix(file, ".")+".golden")
					if *update {
						if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
							t.Fatal(err)
						}
						if err := os.WriteFile(golden, got, 0o644); err != nil {
							t.Fatal(err)
						}
					}
					want, err := os.ReadFile(golden)
					if err != nil {
						t.Fatal(err)
					}
					if string(got) != string(want) {
						t.Errorf("%s:\n%s", file, got)
					}
				}
			}
		})
	}
}

func build(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e testkit.Buffer
	code = cli.Run(t.Context(), cli.Program{Environ: os.Environ(), Commands: []func(*cli.App) *cobra.Command{Command}},
		append([]string{"build"}, args...), cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// The program is the project: it runs in any folder, without the file. What its file reads from the
// environment is only known there.
func TestTheProgramIsTheProject(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	hello, err := filepath.Abs("../../../../examples/01-hello")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "openmas.yaml")
	text := "project: town\npackage: " + hello + "\nagents:\n" +
		"  greeter: {type: greeter, config: {greeting: \"${env:TOWN_GREETING}\"}}\n  host: {type: host}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "out", "town")
	if goruntime.GOOS == "windows" {
		exe += ".exe"
	}
	code, out, errOut := build(t, file, "-o", exe, "--systemd")
	if code != 0 || !strings.Contains(out, "the project town") || !strings.Contains(out, "town.service: written") {
		t.Fatal(code, out, errOut)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "call", "host.welcome", "name=Ann", "--isolated")
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), "TOWN_GREETING=Ahoy")
	said, err := cmd.Output()
	if err != nil || !strings.Contains(string(said), "Ahoy, Ann!") {
		t.Errorf("%s %v", said, err)
	}

	// one that is wrong replaces nothing
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "host: {type: host}", "host: {type: guest}")),
		0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(exe)
	if err != nil {
		t.Fatal(err)
	}
	code, out, errOut = build(t, file, "-o", exe, "--systemd")
	after, err := os.Stat(exe)
	if code != 2 || !strings.Contains(errOut, "guest") || err != nil || !os.SameFile(before, after) {
		t.Error(code, out, errOut, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(exe), "*.new")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

func TestWhatCannotBeBuilt(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := file("foreign.yaml", "project: f\nagents:\n  a: {command: [python3, a.py]}\n")
	hello, err := filepath.Abs("../../../../examples/01-hello")
	if err != nil {
		t.Fatal(err)
	}
	large := file("large.yaml", "project: l\npackage: "+hello+"\nagents:\n  a: {type: a}\n"+
		strings.Repeat("# more\n", 20_000))
	for want, args := range map[string][]string{
		"say where the program goes: -o FILE":             {foreign},
		"there is no Go program to build: openmas itself": {foreign, "-o", filepath.Join(dir, "x")},
		"do not go into the program":                      {foreign, "-o", "x", "--set", "project=g"},
		"a project that is built in has at most":          {large, "-o", filepath.Join(dir, "x")},
	} {
		if code, out, errOut := build(t, args...); code != 2 || !strings.Contains(errOut, want) {
			t.Errorf("%v: %d %s %s", args, code, out, errOut)
		}
	}
}
