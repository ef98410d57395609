package explain

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime/project"
)

func run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	p := cli.Program{Environ: []string{}, Commands: []func(*cli.App) *cobra.Command{Command}}
	code = cli.Run(t.Context(), p, append([]string{"explain"}, args...),
		cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

func TestExplain(t *testing.T) {
	for word, want := range map[string]string{
		"unavailable": `unavailable: the callee cannot be reached, or takes no calls now
  often       a program that is starting, has ended or does not start; a server where nothing
              listens; a broker that is down; a breaker that is open; a system that is stopping;
              nobody who could answer the question of a tool
  made again  if the call did not run, or is repeatable
  what to do  openmas status says which instance is not up, and why
  A call did not run if there is evidence for it: nothing was sent, or the callee refused it
  before it began.
  A call is repeatable if its tool`,
		"canceled": "  made again  never\n  what to do  nothing, if that was meant\n",
		"breaker":  "defaults.breaker.ratio ",
		"agents":   "agents.NAME.tools.TOOL           Those from timeout on, for one tool\n",

		"agents.search.timeout": `agents.NAME.timeout
  type     duration, with a unit: "300ms", "3s", "5m"
  default  that of defaults.timeout, which is 30s
  Deadline of a call, its retries included.
`,
		"agents.search.tools.find.max_in_flight": `agents.NAME.tools.TOOL.max_in_flight
  type     number
  default  that of agents.NAME.max_in_flight, then of defaults.max_in_flight
  off      can be off
  How many calls run at each instance at once. Left out: 64, and any number at an agent that is
  called in its own process. A tool with a number of its own does not share its agent's.
`,
		"retry.attempts": `defaults.retry.attempts
  type     number
  default  3
  for one  agents.NAME.retry.attempts
           agents.NAME.tools.TOOL.retry.attempts
`,
		"drain": "drain.timeout  How long an orderly stop may take, from the signal to the exit",
		"oauth.client_secret": "agents.NAME.oauth.client_secret\n  type     text\n  default  none\n  secret   " +
			"nobody is shown its value; write ${env:NAME} or ${file:PATH}\n",
		"gateway":     "gateway.listen ",
		"reconnect":   "reconnect.initial",
		"replicas":    "  bounds   1 to 1024\n  only for a type or command\n",
		"run":         "  one of   first, all\n",
		"`not_found`": "what to do  openmas list shows what there is\n",
	} {
		code, out, errOut := run(t, word)
		if code != 0 || errOut != "" || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %s\n%s\nwant\n%s", word, code, errOut, out, want)
		}
		if strings.Contains(out, "docs/") || strings.Contains(out, ".md") {
			t.Errorf("%s: it names a file that only a clone has:\n%s", word, out)
		}
		for line := range strings.Lines(out) {
			if len([]rune(line)) > 101 {
				t.Errorf("%s: a line of %d characters: %s", word, len([]rune(line)), line)
			}
		}
	}
}

// Without a word there are the codes and the sections, and each of them can be explained, without a
// file that only a clone has.
func TestExplainAll(t *testing.T) {
	code, out, _ := run(t)
	if code != 0 || !strings.Contains(out, "  outcome_unknown ") || !strings.Contains(out, "agents, defaults, broker") {
		t.Errorf("exit %d\n%s", code, out)
	}
	words := []string{}
	for _, c := range codes {
		words = append(words, string(c.code))
	}
	for _, k := range project.Keys() {
		words = append(words, k.Path)
	}
	for _, word := range words {
		if code, out, err := run(t, word); code != 0 || out == "" || strings.Contains(out, ".md") {
			t.Errorf("%s: exit %d, %s\n%s", word, code, err, out)
		}
	}
}

func TestExplainUnknown(t *testing.T) {
	for word, want := range map[string]string{
		"unavailabel": `"unavailabel" is no error code and no key of the project file; did you mean "unavailable"?`,
		"timout":      `did you mean "timeout"?`,
		"gatway":      `did you mean "gateway"?`,
		"frobnicate":  "openmas explain alone lists the codes and the sections",
	} {
		if code, out, err := run(t, word); code != 2 || out != "" || !strings.Contains(err, want) {
			t.Errorf("%s: exit %d, %s, %s", word, code, out, err)
		}
	}
}

// Every key is found by its path, and by its last words.
func TestEveryKeyIsExplained(t *testing.T) {
	for _, k := range project.Keys() {
		path := strings.NewReplacer("NAME", "search", "TOOL", "find", "TOPIC", "news").Replace(k.Path)
		if code, out, err := run(t, path); code != 0 || !strings.HasPrefix(out, k.Path+"\n") {
			t.Errorf("%s: exit %d, %s, %s", path, code, out, err)
		}
		if code, _, err := run(t, k.Path[strings.LastIndex(k.Path, ".")+1:]); code != 0 {
			t.Errorf("%s: %s", k.Path, err)
		}
	}
}

// docs/reference/errors.md shows what explain says of every code, and explain knows every one.
func TestCodesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/reference/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var known []agent.Code
	for _, c := range codes {
		known = append(known, c.code)
		row := "| `" + string(c.code) + "` | " + c.means + " | " + c.again + " | " + c.doNow + " |\n"
		if !strings.Contains(string(text), row) {
			t.Errorf("docs/reference/errors.md does not have the row\n%s", row)
		}
	}
	if len(known) != len(agent.Codes()) {
		t.Errorf("explained are %v, and there are %v", known, agent.Codes())
	}
}

// Tab has the codes and the parts of keys, and no names of files.
func TestTab(t *testing.T) {
	for typed, want := range map[string]string{
		"unav":                  "unavailable\tthe callee cannot be reached, or takes no calls now\n",
		"gat":                   "gateway\tThe public MCP listener\n",
		"gateway.li":            "gateway.listen\t",
		"agents.":               "agents.NAME\n",
		"agents.search.retry.a": "agents.search.retry.attempts\t",
		"nothing":               "",
	} {
		var o, e bytes.Buffer
		p := cli.Program{Environ: []string{}, Commands: []func(*cli.App) *cobra.Command{Command}}
		code := cli.Run(t.Context(), p, []string{cobra.ShellCompRequestCmd, "explain", typed},
			cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
		words, directive := o.String(), ""
		if n := strings.LastIndex(words, ":"); n >= 0 {
			words, directive = words[:n], words[n+1:]
		}
		if code != 0 || !strings.HasPrefix(words, want) || want == "" && words != "" || directive != "36\n" {
			t.Errorf("%q: %q, want %q; exit %d, %s", typed, o.String(), want, code, &e)
		}
	}
}
