package project

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// project writes files in a fresh working directory. A name without a dot is a folder's.
func project(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s differs from line %d on; got:\n%s\nwant:\n%s", path, i+1,
				strings.Join(g[min(i, len(g)):], "\n"), strings.Join(w[min(i, len(w)):], "\n"))
		}
	}
}

// TestConfigErrors is every message a person can get about a project file; they are
// in testdata/errors.golden.
func TestConfigErrors(t *testing.T) {
	var messages strings.Builder
	data, err := os.ReadFile("testdata/errors.golden")
	if err != nil {
		t.Fatal(err)
	}
	const ok = "agents:\n  a: {type: x}\n"
	for _, tc := range []struct {
		name string
		file string
		opts Options
	}{
		{name: "unknown key of an agent", file: "agents:\n  linter:\n    type: linter\n    comunicator: mcp-sse\n"},
		{name: "unknown key at the top", file: ok + "gatway: {}\n"},
		{name: "agents misspelt", file: "agens:\n  a: {type: x}\n"},
		{name: "unknown key with nothing near", file: ok + "drain: {zzzzzz: 1}\n"},
		{name: "unknown keys at every level", file: "agents:\n  a: {tpye: x, tools: {do.it: {retry: {attemps: 3}, " +
			"idempotnt: true}}}\ndefaults: {retries: 3}\nmcp: {max_bodi: 1}\n"},
		{name: "wrong types", file: "project: 5\nagents:\n  a: {type: x, replicas: two, critical: maybe, tools: " +
			"[b]}\n  b: {command: python3 notes.py, env: {PORT: 80}}\n"},
		{name: "agents is a list", file: "agents:\n  - type: x\n"},
		{name: "agents is empty", file: "project: p\nagents: {}\n"},
		{name: "agents has no value", file: "project: p\nagents:\n"},
		{name: "agent has no value", file: "agents:\n  a:\n  b: {type: x}\n"},
		{name: "key without a value", file: ok + "gateway:\n"},
		{name: "durations", file: "agents:\n  a: {type: x, timeout: 3}\ndefaults: {timeout: 0s}\ndrain: {timeout: " +
			"-1s}\nconnect: {timeout: soon}\nrestart: {window: \"30\"}\n"},
		{name: "numbers", file: "agents:\n  a: {type: x, replicas: 0}\n  b: {type: x, replicas: 2.5}\n  c: {type: x, " +
			"replicas: 5000}\ndefaults: {retry: {attempts: 0, multiplier: -1}}\nmcp: {max_sessions: " +
			"99999999999999999999}\nrestart: {limit: .inf}\n"},
		{name: "retry", file: "agents:\n  a: {type: x, retry: {initial: 20s, multiplier: 0.5}, tools: {t: {retry: " +
			"{attempts: 101}}}}\n"},
		{name: "sizes", file: ok + "mcp: {max_body: 4MB, max_frame: [1], }\nbroker: {max_payload: 0}\n"},
		{name: "unknown words", file: "agents:\n  a: {type: x, communicator: mcp-std, run: al}\ndefaults: {max_queue: " +
			"7}\ntelemetry: {protocol: gprc, endpoint: \"ftp://x\"}\n"},
		{name: "communicator that the kind does not allow", file: "agents:\n  a: {command: [x], communicator: " +
			"local}\n  b: {url: \"http://x/sse\", communicator: pubsub}\n  c: {url: \"http://x/\", communicator: " +
			"mcp-stdio}\n"},
		{name: "no kind, two kinds", file: "agents:\n  a: {communicator: local}\n  b: {type: x, url: \"http://x\"}\n " +
			" c: {type: x, command: [y], url: \"http://x\"}\n"},
		{name: "keys that have no effect", file: "agents:\n  a: {type: x, env: {A: b}, dir: d, headers: {H: v}}\n  " +
			"b: {url: \"http://x\", replicas: 2, run: all, config: {}, start: {timeout: 5s}}\n  c: {command: [x], headers: " +
			"{H: v}}\n"},
		{name: "names", file: "project: My Project\nagents:\n  Linter: {type: x}\n  a_b: {type: x}\n  openmas: " +
			"{type: x}\n"},
		{name: "two agents of one name",
			file: "agents:\n  search: {type: x}\n  other: {type: x}\n  search: {type: y}\n"},
		{name: "a key twice",
			file: "agents:\n  a:\n    type: x\n    replicas: 2\n    type: y\nproject: p\nproject: q\n"},
		{name: "surroundings", file: "agents:\n  a: {command: [\"\"], env: {OPENMAS_TOKEN: x, \"A=B\": y}}\n  b: " +
			"{url: \"https://u:p@host/\", headers: {\"bad name\": v, ok: \"a\\nb\"}}\n  c: {url: \"example.org\"}\n"},
		{name: "headers that are not the agent's", file: "agents:\n  a:\n    url: https://host/mcp\n    headers:\n" +
			"      host: h\n      Content-Length: \"1\"\n      TRANSFER-ENCODING: chunked\n      Connection: close\n" +
			"      Mcp-Session-Id: s\n      Mcp-Protocol-Version: v\n      Last-Event-ID: e\n      X-Host: fine\n"},
		{name: "gateway", file: ok + "gateway: {listen: \"8765\", expose: [b, a., openmas]}\n"},
		{name: "gateway beyond loopback", file: ok + "gateway: {listen: \"0.0.0.0:8765\"}\n"},
		{name: "gateway beyond loopback by a flag", file: ok + "gateway: {}\n",
			opts: Options{Set: []string{"gateway.listen=:8765"}}},
		{name: "gateway tokens", file: ok + "gateway: {token: \"${env:EMPTY}\", tokens: {openmas: sesame-1, Ann: " +
			"sesame-2, bob: \"sesame 3\", cy: sesame-4-of-many, di: sesame-4-of-many, ed: sesame-5-of-few}}\n",
			opts: Options{Environ: []string{"EMPTY="}}},
		{name: "gateway names", file: ok + "gateway: {hosts: [\"a:80\", \"\"], origins: [example.org, " +
			"\"https://a/b\"]}\n"},
		{name: "ops", file: ok + "ops: {listen: \":9464\", token: \"${env:EMPTY}\", hosts: [x]}\n",
			opts: Options{Environ: []string{"EMPTY="}}},
		{name: "ops as the gateway", file: ok + "ops: {listen: \"127.0.0.1:1\", token: sesame-1-of-many}\ngateway: {listen: " +
			"\"127.0.0.1:1\", tokens: {ann: sesame-1-of-many}}\n"},
		{name: "mcp limits", file: ok + "mcp: {max_calls: 0, header_timeout: 5, session_ilde: 1m}\n"},
		{name: "resumption", file: ok + "mcp: {resume: 1KiB, poll: 200ms}\n"},
		{name: "polling without resumption", file: ok + "mcp: {poll: 30s}\n"},
		{name: "nothing resumed", file: ok + "mcp: {resume: 0, poll: 0s}\n"},
		{name: "keys that can be guessed", file: ok + "mcp: {request_state_keys: [\"${env:K}\", \"\", " +
			"sesame-9-of-thirty-two-characters]}\n", opts: Options{Environ: []string{"K=sesame"}}},
		{name: "sampling", file: ok + "mcp: {sampling: llm}\n"},
		{name: "sampling by nobody", file: ok + "mcp: {sampling: b.complete}\n"},
		{name: "peers", file: "agents:\n  a: {type: x, token: sesame-1, tls: {ca_file: ca}, oauth: {client_id: me}, " +
			"sessions: 2, allow_tools: [t], roots: [.]}\n" +
			"  b: {url: \"https://x/\", token: sesame-2, headers: {authorization: x}, sessions: 65, tls: {cert_file: " +
			"c}, oauth: {client_id: me}, allow_tools: [\"\"]}\n"},
		{name: "protocol", file: "agents:\n  a: {type: x, protocol: \"2025-11-25\"}\n  b: {url: \"http://x/mcp\", " +
			"protocol: \"2026-07-82\"}\n  c: {url: \"http://x/sse\", protocol: \"2026-07-28\"}\n  d: {command: [x], " +
			"protocol: \"2026-07-28\"}\n"},
		{name: "empty tool", file: "agents:\n  a: {type: x, tools: {\"\": {timeout: 1s}}}\n"},

		{name: "empty file", file: ""},
		{name: "only comments", file: "# nothing\n"},
		{name: "a list", file: "- a\n- b\n"},
		{name: "a text", file: "hello\n"},
		{name: "syntax", file: "agents:\n  a: {type: x\nproject: p\n"},
		{name: "an open list", file: "agents:\n  a:\n    command: [sh, \"]\", # ]\n    env: {A: b}\n"},
		{name: "a comma that is missing", file: "agents: {\n  a: {type: x}\n  b: {type: y}\n}\n"},
		{name: "indentation", file: "project: p\n agents: {}\n"},
		{name: "a tab after spaces", file: "agents:\n  a:\n  \ttype: x\n"},
		{name: "tab", file: "agents:\n\ta: {type: x}\n"},
		{name: "second document", file: ok + "---\n" + ok},
		{name: "not UTF-8", file: "agents:\n  a: {type: \xff}\n"},
		{name: "unknown alias", file: "agents:\n  a: *base\n"},
		{name: "alias of itself", file: "agents: &x\n  a: *x\n"},
		{name: "merge of a text", file: "agents:\n  a: {type: x, <<: y}\n"},
		{name: "tag", file: "agents:\n  a: {type: !ruby/object x}\n"},
		{name: "key that is no text", file: "agents:\n  [a]: {type: x}\n"},
		{name: "deep", file: "project: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n"},
		{name: "deep blocks", file: deepBlocks()},
		{name: "aliases that multiply", file: bomb()},

		{name: "missing variable", file: "agents:\n  a: {command: [x], env: {DB: \"db-${env:DB}\"}}\n"},
		{name: "bad references", file: "agents:\n  a: {command: [sh, -c, \"echo ${HOME}\"], env: {A: \"${env:X\", B: " +
			"\"${env:}\"}}\n"},
		{name: "missing secret file", file: "agents:\n  a: {type: \"${file:no/such}\"}\n"},
		{name: "a secret is not shown", file: "agents:\n  a: {type: x, timeout: \"${env:S}\", replicas: " +
			"\"${env:S}\", communicator: \"${env:S}\"}\nproject: \"P ${env:S}\"\nmcp: {max_body: \"${env:S}\"}\n",
			opts: Options{Environ: []string{"S=hunter2000"}}},

		{name: "environment", file: ok + "  linter: {type: y}\n",
			opts: Options{Environ: []string{"OPENMAS_CONFIG__agents__a__timout=3s",
				"OPENMAS_CONFIG__agents__a__timeout=3", "OPENMAS_CONFIG__x____y=1", "OPENMAS_CONFIG__drain=[",
				"OPENMAS_CONFIG__agents__lniter__timeout=3s"}}},
		{name: "set", file: ok, opts: Options{Set: []string{"agents.a.comunicator=local", "nothing", "a..b=1",
			`agents."a=1`, "project=Bad Name", "drain.timeout=5", `agents.a"b=1`, "agents.a.tools={"}}},
		{name: "missing profile", file: ok, opts: Options{Profile: "prod"}},
		{name: "profile is a path", file: ok, opts: Options{Profile: "../x"}},
		{name: "profile has problems", file: ok + "drain: {timeout: 1}\n", opts: Options{Profile: "bad"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			project(t, map[string]string{"p.yaml": tc.file, "p.bad.yaml": "agents:\n  a: {tpye: y}\n"})
			if tc.opts.Environ == nil {
				tc.opts.Environ = []string{}
			}
			cfg, err := Load("p.yaml", tc.opts)
			if err == nil {
				t.Fatalf("no error; config %v", cfg)
			}
			var list Errors
			var one *Error
			if !errors.As(err, &list) || !errors.As(err, &one) {
				t.Fatalf("%T is no Errors of Error", err)
			}
			section := "## " + tc.name + "\n" + err.Error() + "\n\n"
			messages.WriteString(section)
			if !*update && !strings.Contains(string(data), section) {
				_, want, _ := strings.Cut(string(data), "## "+tc.name+"\n")
				want, _, _ = strings.Cut(want, "## ")
				t.Errorf("got:\n%s\nwant:\n%s", err, want)
			}
		})
	}
	if *update {
		golden(t, "errors.golden", messages.String())
	}
}

// TestManyErrors: the errors of a file that is all wrong fit on a screen or two.
func TestManyErrors(t *testing.T) {
	project(t, map[string]string{"p.yaml": "agents:\n  a: {type: x}\n" + strings.Repeat("x: 1\n", 205)})
	_, err := Load("p.yaml", Options{Environ: []string{}})
	var list Errors
	if !errors.As(err, &list) || len(list) != 101 || list[100].Error() != "and 105 more problems" {
		t.Errorf("%d problems: %v", len(list), list[len(list)-1])
	}
}

func deepBlocks() string {
	var b strings.Builder
	for i := range 120 {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func bomb() string {
	var b strings.Builder
	b.WriteString("x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n")
	for i, prev := 1, "x0"; i < 9; i++ {
		name := "x" + string(rune('0'+i))
		b.WriteString(name + ": &" + name + " [" + strings.Repeat("*"+prev+", ", 9) + "*" + prev + "]\n")
		prev = name
	}
	return b.String()
}
