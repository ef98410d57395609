package doctest

import (
	"errors"
	"flag"
	"strings"
	"testing"
)

func TestDocs(t *testing.T) {
	ran := false
	t.Run("broken blocks are found", func(t *testing.T) {
		ran = true
		t.Parallel()
		testBrokenBlocks(t, newDocChecker(t))
	})
	for _, name := range documents(t) {
		t.Run(name, func(t *testing.T) {
			ran = true
			text := read(t, name)
			if !strings.Contains(text, "```") {
				return // there is nothing to run
			}
			t.Parallel()
			for _, err := range newDocChecker(t).check(t, name, text) {
				t.Error(err)
			}
		})
	}
	if !ran {
		t.Errorf("no document matches %s", flag.Lookup("test.run").Value)
	}
}

func testBrokenBlocks(t *testing.T, c *docChecker) {
	const hello = "package: examples/01-hello\nagents:\n  greeter: {type: greeter}\n"
	tests := map[string]struct{ text, want string }{
		"fine": {"# Hi\n```text\nanything\n```\n\n```yaml\n" + hello + "```\n\n```yaml\ndefaults: {timeout: " +
			"3s}\n```\n\n```console\n$ openmas version\nopenmas ...\n```\n" +
			"\n```console\n$ openmas run examples/01-hello/openmas.yaml\n...\nSSE_SERVER_URL=http://127.0.0.1:8765\n" +
			"^C\n...\n...INFO  stopped...\n```\n",
			""},
		"go that does not compile": {"```go\npackage main\n\nfunc main() { undefined() }\n```\n", "doc.md:1: "},
		"go that vet objects to": {"```go\npackage main\n\nimport \"fmt\"\n\nfunc main() { fmt.Printf(\"%d\", " +
			"\"x\") }\n```\n", "wrong type string"},
		"go that reaches inside": {"```go\npackage main\n\nimport _ " +
			"\"github.com/openmas/openmas/internal/cli\"\n\nfunc main() {}\n```\n", "internal package"},
		"go that is a snippet": {"```go\nx := 1\n```\n", "expected 'package'"},
		"an unknown key":       {"```yaml\ndefaults: {tiemout: 3s}\n```\n", `did you mean "timeout"`},
		"an unknown type": {"```yaml\n" + strings.Replace(hello, "type: greeter", "type: waiter", 1) + "```\n",
			`no type "waiter"`},
		"other output": {"```console\n$ openmas version\nopenmas 0.0.0\n```\n", "doc.md:2: "},
		"no output":    {"```console\n$ openmas version\n```\n", "doc.md:2: "},
		"another exit code": {"```console\n$ openmas validate nowhere.yaml\nopenmas: nowhere.yaml: there is no such " +
			"file...\n```\n", "exit code 2"},
		"a forbidden command":   {"```console\n$ rm -r docs\n```\n", `"rm"`},
		"another language":      {"```ruby\nputs 1\n```\n", `language "ruby"`},
		"python without a file": {"```python\nprint()\n```\n", "needs a file"},
		"json that is none":     {"```json\n{a: 1}\n```\n", "not valid JSON"},
		"a script of the page": {"```sh hi.sh\necho \"Hi $1\"\n```\n\n```console\n$ sh hi.sh Ada\n" +
			"Hi Ada\n```\n", ""},
		"a shell without one": {"```console\n$ sh -c date\n```\n", "runs a script of the document"},
		"another folder": {"```text below/a.yaml\nagents: {}\n```\n\n```console\n$ cd below\n$ openmas validate " +
			"a.yaml # exit code 2\n...\nopenmas: a.yaml has 1 error\n$ cd ..\n$ openmas version\nopenmas ...\n" +
			"```\n", ""},
		"a folder elsewhere":  {"```console\n$ cd ../..\n```\n", "not below"},
		"a file at its place": {"```text later.txt\none\n```\n\n```text later.txt new\ntwo\n```\n", ""},
		"what init did not write": {"```console\n$ openmas init made\n...\n```\n\n```go made/main.go\n" +
			"package main\n```\n", "not what openmas init wrote to made/main.go"},
		"no language":         {"```\nx\n```\n", `language ""`},
		"a block without end": {"```text\nx\n", "not closed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := errors.Join(c.check(t, "doc.md", tt.text)...)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
