package doctor

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/testkit"
)

func run(t *testing.T, environ []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	p := cli.Program{Environ: environ, Commands: []func(*cli.App) *cobra.Command{Command}}
	code = cli.Run(t.Context(), p, append([]string{"doctor"}, args...),
		cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// at is a project file in a folder of its own.
func at(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "openmas.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listen takes a port until the end of the test.
func listen(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// free is a port that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// findings are those of a run with --json, by check.
func findings(t *testing.T, environ []string, args ...string) (code int, all map[string]finding) {
	t.Helper()
	code, out, errOut := run(t, environ, append(args, "--json")...)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %q; %s", err, out, errOut)
	}
	if r.OK != (code == 0) {
		t.Errorf("exit %d, and ok is %v", code, r.OK)
	}
	all = map[string]finding{}
	for _, f := range r.Checks {
		all[f.Check] = f
	}
	return code, all
}

func TestAllIsThere(t *testing.T) {
	testkit.Processes(t)
	path := at(t, "package: .\nagents:\n  a: {type: a}\n  far: {url: \"http://"+listen(t)+"/mcp\"}\n"+
		"gateway: {listen: \""+free(t)+"\"}\nops: {listen: \"127.0.0.1:0\"}\n"+
		"broker: {type: nats, urls: [\"nats://"+free(t)+"\", \"nats://"+listen(t)+"\"]}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "go.mod"), []byte("module x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, all := findings(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + listen(t)}, "-p", path)
	for name, f := range all {
		if f.State != ok && name != "file descriptors" {
			t.Errorf("%+v", f)
		}
	}
	if code != 0 || len(all) != 10 {
		t.Errorf("exit %d, %d checks: %v", code, len(all), all)
	}
	code, out, errOut := run(t, nil, "-p", path)
	if code != 0 || !strings.Contains(out, "ok       state folder") || errOut != "" {
		t.Errorf("exit %d, %s\n%s", code, out, errOut)
	}
}

func TestWhatIsMissing(t *testing.T) {
	testkit.Processes(t)
	taken, closed := listen(t), free(t)
	yaml := "agents:\n  a: {command: [no-such-program]}\n  b: {command: [uvx, a-server]}\n" +
		"  far: {url: \"http://" + closed + "/mcp\"}\n  near: {url: \"http://" + closed + "/mcp\", critical: true}\n" +
		"gateway: {listen: \"" + taken + "\"}\nbroker: {type: nats, urls: [\"nats://" + closed + "\"]}\n" +
		"telemetry: {endpoint: \"" + closed + "\"}\nstate: openmas.yaml\n"
	t.Setenv("PATH", t.TempDir())
	code, all := findings(t, nil, "-p", at(t, yaml))
	for name, want := range map[string]finding{
		"agent a":    {State: missing, Found: "there is no program no-such-program", Do: "correct agents.a.command"},
		"agent b":    {State: missing, Found: "there is no program uvx", Do: "install uv"},
		"agent far":  {State: note, Found: "no server answers", Do: "goes on trying"},
		"agent near": {State: missing, Found: "no server answers", Do: "start the server"},
		"gateway port": {State: missing, Found: taken + " is in use by another program",
			Do: "gateway.listen=127.0.0.1:0"},
		"broker":       {State: missing, Found: "no server of broker.urls answers", Do: "leave broker.urls out"},
		"traces":       {State: note, Found: "no receiver answers", Do: "telemetry.endpoint"},
		"state folder": {State: missing, Found: "openmas.yaml is no folder", Do: "state:"},
		"go":           {State: note, Found: "there is no go command in PATH", Do: "install Go 1.26"},
	} {
		if f := all[name]; f.State != want.State || !strings.Contains(f.Found, want.Found) ||
			!strings.Contains(f.Do, want.Do) {
			t.Errorf("%+v, want %+v", f, want)
		}
	}
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	code, _, errOut := run(t, nil, "-p", at(t, "agents:\n  a: {command: [no-such-program]}\n"))
	if code != 1 || errOut != "openmas: 1 thing is missing that the project needs\n" {
		t.Errorf("exit %d, %s", code, errOut)
	}
}

// A Python or Node program is a script as well, and has a version.
func TestScripts(t *testing.T) {
	testkit.Processes(t)
	if goruntime.GOOS == "windows" {
		t.Skip("the programs are shell scripts")
	}
	bin := t.TempDir()
	for name, text := range map[string]string{"python3": "echo Python 3.99",
		"node":      "echo 'no such version' >&2; exit 3",
		"python3.9": "echo pyenv: python3.9: command not found >&2; exit 127",
		"old/node":  "echo v22.17.1", "new/node": "echo v22.18.0"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(bin, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":/bin:/usr/bin")
	path := at(t, "agents:\n  a: {command: [python3, openmas.yaml]}\n  b: {command: [python3, gone.py]}\n"+
		"  c: {command: [node, --x, server]}\n  d: {command: [tool], env: {PATH: \""+bin+"\"}}\n"+
		"  e: {command: [node], env: {PATH: \""+bin+"\"}}\n  f: {command: [.venv/bin/python, a.py]}\n"+
		"  g: {command: [\""+bin+"/old/node\", a.ts]}\n  h: {command: [\""+bin+"/new/node\", a.ts]}\n"+
		"  i: {command: [python3.9, openmas.yaml]}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "a.ts"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, all := findings(t, nil, "-p", path)
	for name, want := range map[string]finding{
		"agent a": {State: ok, Found: "Python 3.99"},
		"agent b": {State: missing, Found: "there is no file gone.py in " + filepath.Dir(path), Do: "agents.b.dir"},
		"agent c": {State: missing, Found: "does not run: exit status 3: no such version", Do: "node --version"},
		"agent d": {State: missing, Found: "there is no program tool"},
		"agent e": {State: missing, Found: filepath.Join(bin, "node")},
		"agent f": {State: missing, Found: "there is no program ", Do: ".venv/bin/pip install"},
		"agent g": {State: missing, Found: "v22.17.1, which runs no TypeScript", Do: "install Node.js 22.18"},
		"agent h": {State: ok, Found: "v22.18.0"},
		"agent i": {State: missing, Found: "exit status 127: pyenv: python3.9: command not found",
			Do: "write another program into agents.i.command"},
	} {
		if f := all[name]; f.State != want.State || !strings.Contains(f.Found, want.Found) ||
			!strings.Contains(f.Do, want.Do) {
			t.Errorf("%+v, want %+v", f, want)
		}
	}
}

// Without a project, and with one that is wrong, the rest is looked at all the same.
func TestNoProject(t *testing.T) {
	testkit.Processes(t)
	path := at(t, "package: .\nagents:\n  a: {type: a, config: {k: \"${env:NOT_SET}\"}, replicas: 0}\n")
	code, out, _ := run(t, []string{}, "-p", path)
	if code != 1 || !strings.Contains(out, "the environment variable NOT_SET is not set") ||
		!strings.Contains(out, "must be at least 1, not 0") || !strings.Contains(out, "ok       runtime folder") {
		t.Errorf("exit %d, %s", code, out)
	}
	t.Chdir(t.TempDir())
	code, all := findings(t, nil)
	if code != 0 || all["project file"].State != note || !strings.Contains(all["project file"].Do, "openmas init") {
		t.Errorf("exit %d, %v", code, all)
	}
	if code, _, errOut := run(t, nil, "x"); code != 2 || !strings.Contains(errOut, "takes no arguments") {
		t.Errorf("exit %d, %s", code, errOut)
	}
}
