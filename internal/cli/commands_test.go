package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

const crew = `project: crew
agents:
  greeter: {type: greeter, config: {greeting: Good morning}}
  host: {type: host}
`

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"help", "run"}, {"run", "--help"}, {"help"}} {
		if r := run(t, "", args...); r.code != exitOK || !strings.Contains(r.out, "Usage:\n  openmas") || r.err != "" {
			t.Errorf("%v: exit %d, %q, %q", args, r.code, r.out, r.err)
		}
	}
	for _, word := range []string{"version", "--version"} {
		if r := run(t, "", word); r != (result{exitOK, "openmas " + testVersion + "\n", ""}) {
			t.Errorf("%s: %+v", word, r)
		}
	}
}

func TestValidate(t *testing.T) {
	path := projectFile(t, crew)
	if r := run(t, "", "validate", "--schema"); r != (result{exitOK, project.Schema(), ""}) {
		t.Errorf("--schema: %+v", r)
	}
	if r := run(t, "", "validate", path); r != (result{exitOK, path + " is fine: 2 agents\n", ""}) {
		t.Errorf("%+v", r)
	}
	nothingStarted(t, path)
}

// --print shows where each value comes from, and is a project file that means the same.
func TestValidatePrint(t *testing.T) {
	path := projectFile(t, crew)
	if err := os.WriteFile(strings.TrimSuffix(path, ".yaml")+".fast.yaml", []byte("defaults: {timeout: 1s}\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	r := runWith(t.Context(), "", []string{"OPENMAS_CONFIG__defaults__max_queue=7"}, "validate", path, "--print",
		"--profile", "fast", "--set", "agents.host.timeout=9s")
	if r.code != exitOK || r.err != "" {
		t.Fatalf("%+v", r)
	}
	for _, want := range []string{
		`greeting: "Good morning" # ` + filepath.ToSlash(path) + ":3",
		`timeout: 9s # --set agents.host.timeout`,
		`timeout: 1s # ` + filepath.ToSlash(strings.TrimSuffix(path, ".yaml")) + ".fast.yaml:1",
		`max_queue: 7 # env OPENMAS_CONFIG__defaults__max_queue`,
		`max_payload: 1MiB # default`,
	} {
		if !strings.Contains(squeezed(r.out), want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	again := run(t, "", "validate", projectFile(t, r.out), "--print")
	if again.code != exitOK || uncommented(again.out) != uncommented(r.out) {
		t.Errorf("what was printed does not mean the same:\n%s\n%s", r.out, again.out+again.err)
	}
}

// squeezed makes every run of blanks one.
func squeezed(s string) string { return strings.Join(strings.Fields(s), " ") }

func uncommented(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "  #")
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// What came from ${env:…} is shown nowhere: not by validate, not in the log, not in an error.
func TestSecretsAreMasked(t *testing.T) {
	const secret = "hunter2-and-more"
	path := projectFile(t, "agents:\n  greeter: {type: greeter, config: {greeting: Hi, token: \"Bearer "+
		"${env:TOKEN}\"}}\n  once: {type: once}\n")
	environ := []string{"TOKEN=" + secret}
	r := runWith(t.Context(), "", environ, "validate", path, "--print")
	if r.code != exitOK || !strings.Contains(r.out, `token: "Bearer ***"`) || strings.Contains(r.out, secret) {
		t.Errorf("%+v", r)
	}
	for _, format := range []string{"text", "json"} {
		r = runWith(t.Context(), "", environ, "run", path, "--once", "--log-format", format)
		if r.code != exitOK || !strings.Contains(r.err, "Bearer ***") || strings.Contains(r.out+r.err, secret) {
			t.Errorf("%+v", r)
		}
	}
	r = runWith(t.Context(), "", append(environ, "OPENMAS_CONFIG__agents__once__timeout=${env:TOKEN}"), "validate",
		path)
	if r.code != exitUsage || !strings.Contains(r.err, "***") || strings.Contains(r.err, secret) {
		t.Errorf("%+v", r)
	}
}

// Results go to standard output and nothing else does; --once ends when the Runner has returned.
func TestRunOnce(t *testing.T) {
	path := projectFile(t, "agents:\n  once: {type: once}\n  greeter: {type: greeter}\n")
	r := run(t, "", "run", path, "--once")
	if r.code != exitOK || r.out != "the result\n" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{`msg="agent is up" agent=greeter communicator=local instances=1 tools=greet,measure`,
		"msg=ready", "msg=stopped"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %s in\n%s", want, r.err)
		}
	}
	if strings.Contains(r.err, "SSE_SERVER_URL") {
		t.Errorf("a URL without a gateway:\n%s", r.err)
	}
}

func TestRunFails(t *testing.T) {
	path := projectFile(t, "agents:\n  printer: {type: broken, critical: true}\nrestart: {limit: 1, backoff: 1ms, "+
		"give_up_after: 1}\n")
	r := run(t, "", "run", path)
	if r.code != exitFailed || !strings.Contains(r.err, "openmas: critical agent printer:") ||
		!strings.Contains(r.err, "out of paper") {
		t.Errorf("%+v", r)
	}
}

func TestLogFormatJSON(t *testing.T) {
	s := serve(t, projectFile(t, crew), "--log-format", "json")
	if code := s.stop(); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	messages := map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(s.log.String())); lines.Scan(); {
		var rec struct {
			Time, Level, Msg string
			URL              string `json:"SSE_SERVER_URL"`
			Took             *float64
		}
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil || rec.Time == "" || rec.Level == "" {
			t.Errorf("no JSON log line: %s", lines.Text())
		}
		if messages[rec.Msg] = true; rec.Msg == "ready" && (rec.URL != s.url || rec.Took == nil || *rec.Took > 60) {
			t.Errorf("%s", lines.Text())
		}
	}
	if !messages["ready"] || !messages["stopped"] {
		t.Errorf("messages: %v", messages)
	}
}

// With JSON, the end of a command is JSON too.
func TestErrorsInJSON(t *testing.T) {
	r := run(t, "", "run", projectFile(t, "agents:\n  a: {type: nothing}\n"), "--log-format", "json")
	var rec struct{ Time, Level, Msg string }
	if err := json.Unmarshal([]byte(r.err), &rec); err != nil || r.code != exitUsage || rec.Level != "ERROR" ||
		!strings.Contains(rec.Msg, `no type "nothing"`) {
		t.Errorf("%v: %+v", err, r)
	}
}

// A project with durable events is started alone as well, with a broker of its own that keeps them.
func TestAloneWithDurableEvents(t *testing.T) {
	path := projectFile(t, "broker: {type: nats, urls: [\"nats://127.0.0.1:1\"]}\nevents: {a.b: {durable: true}}\n"+
		crew)
	r := run(t, "", "call", "greeter.greet", "name=Ada", "-p", path, "--isolated")
	if r.code != exitOK || r.out != "Good morning, Ada!\n" {
		t.Errorf("%+v", r)
	}
}

// A running system, the project that runs, the project itself and the program on stdio return the
// same list and the same answers.
func TestListAndCall(t *testing.T) {
	path := projectFile(t, crew)
	s := serve(t, path)
	ways := map[string]struct {
		flags  []string
		prefix func(agent string) string
	}{
		"a project":         {[]string{"-p", path}, func(a string) string { return a + "." }},
		"a project alone":   {[]string{"-p", path, "--isolated"}, func(a string) string { return a + "." }},
		"a system":          {[]string{"--url", s.url}, func(a string) string { return a + "." }},
		"a system by SSE":   {[]string{"--url", s.url + "/sse"}, func(a string) string { return a + "." }},
		"a system by MCP":   {[]string{"--url", s.url + "/mcp"}, func(a string) string { return a + "." }},
		"one of its agents": {[]string{"--url", s.url + "/agents/greeter/mcp"}, func(string) string { return "" }},
	}
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			list, call := append([]string{"list"}, w.flags...), append([]string{"call", w.prefix("greeter") + "greet"},
				w.flags...)
			note := map[string]string{
				"a project":       fmt.Sprintf("openmas: project crew runs already: using process %d\n", os.Getpid()),
				"a project alone": "openmas: starting project crew for this command alone\n",
			}[name]
			r := run(t, "", list...)
			if r.code != exitOK || r.err != note || !strings.Contains(r.out, w.prefix("greeter")+"greet(name, loud?)") {
				t.Errorf("list: %+v", r)
			}
			r = run(t, "", append(list, "--json")...)
			var listing runtime.Listing
			if err := json.Unmarshal([]byte(r.out), &listing); r.code != exitOK || err != nil ||
				len(listing.Agents) == 0 {
				t.Errorf("list --json: %+v, %v", r, err)
			}
			for _, args := range [][]string{{"name=Ada"}, {`{"name": "Ada"}`}, {"-"}} {
				r := run(t, `{"name": "Ada"}`, append(call, args...)...)
				if r.code != exitOK || r.out != "Good morning, Ada!\n" || r.err != note {
					t.Errorf("call %v: %+v", args, r)
				}
			}
			r = run(t, "", append(call, "whom=Ada")...)
			if r.code != exitFailed || !strings.Contains(r.err, "invalid_argument") || r.out != "" {
				t.Errorf("a wrong argument: %+v", r)
			}
			call[1] = w.prefix("greeter") + "measure"
			if r := run(t, "", append(call, "name=Ada")...); r.code != exitOK || r.out != "{\n  \"letters\": 3\n}\n" {
				t.Errorf("a structured result: %+v", r)
			}
			call[1] = w.prefix("greeter") + "nope"
			if r := run(t, "", call...); r.code != exitFailed || !strings.Contains(r.err, "not_found") {
				t.Errorf("an unknown tool: %+v", r)
			}
		})
	}
}

func TestCallTimeout(t *testing.T) {
	path := projectFile(t, "agents: {worker: {type: worker}}")
	testkit.Longer(t, "the call runs when its time is up", 300*time.Millisecond, func(d time.Duration) bool {
		r := run(t, "", "call", "worker.wait", "--project", path, "--timeout", d.String())
		if r.code != exitFailed || !strings.Contains(r.err, "over after "+d.String()+" (--timeout)") {
			t.Fatalf("%+v", r)
		}
		return strings.Contains(r.err, "deadline")
	})
	for key, agents := range map[string]string{
		"defaults.timeout; agents.worker.timeout goes before it": "defaults: {timeout: 300ms}\nagents: {worker: " +
			"{type: worker}}",
		"agents.worker.timeout":            "agents: {worker: {type: worker, timeout: 300ms}}",
		"agents.worker.tools.wait.timeout": "agents: {worker: {type: worker, tools: {wait: {timeout: 300ms}}}}",
	} {
		r := run(t, "", "call", "worker.wait", "--project", projectFile(t, agents))
		if r.code != exitFailed || !strings.Contains(r.err, "not done within 300ms, its timeout ("+key+")") {
			t.Errorf("%s: %+v", key, r)
		}
	}
}

// A context that ends stops a run in order.
func TestRunStops(t *testing.T) {
	s := serve(t, projectFile(t, crew))
	if code := s.stop(); code != exitOK || !strings.Contains(s.log.String(), "msg=stopped") {
		t.Errorf("exit %d\n%s", code, s.log)
	}
}

// A program that brings a Become is asked to become the project's package before anything else is
// done with the project.
func TestBecome(t *testing.T) {
	path := projectFile(t, "package: ./crew\nagents: {a: {type: not-of-this-program}}\n")
	var asked string
	p := Program{Version: testVersion, Environ: []string{},
		Become: func(_ context.Context, cfg *project.Config, _ io.Writer) error {
			asked = cfg.Package
			return Exit(7)
		}}
	var out, errOut testkit.Buffer
	if code := Run(t.Context(), p, []string{"run", path}, Streams{Out: &out, Err: &errOut}); code != 7 ||
		asked != "./crew" || errOut.String() != "" {
		t.Errorf("exit %d, asked for %q, %s", code, asked, errOut.String())
	}
}
