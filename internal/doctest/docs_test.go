package doctest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/doctest/transcript"
	"github.com/openmas/openmas/runtime/project"
)

// Every fenced block of the documentation is run. A block's language decides how:
//
//	```go          a complete file, compiled and vetted in a module of its own that depends on this one
//	```yaml        a project file, or some keys of one: it is loaded, and where it names a package,
//	               checked against the package's types
//	```console     commands and what they print: see console_test.go
//	```text        nothing
//
// A path after the language (```go weather/main.go) writes the block to that file, so that the
// blocks of a document make up a program. A file in a folder that the document has `openmas init`
// make is not written, but has to be what that wrote. The working folder of all is a clone of this
// repository with the working tree's files.

func TestDocs(t *testing.T) {
	c := newDocChecker(t)
	t.Run("broken blocks are found", func(t *testing.T) { testBrokenBlocks(t, c) })
	for _, name := range documents(t) {
		t.Run(name, func(t *testing.T) {
			for _, err := range c.check(t, name, read(t, name)) {
				t.Error(err)
			}
		})
	}
}

func testBrokenBlocks(t *testing.T, c *docChecker) {
	const hello = "package: examples/01-hello\nagents:\n  greeter: {type: greeter}\n"
	tests := map[string]struct{ text, want string }{
		"fine": {"# Hi\n```text\nanything\n```\n\n```yaml\n" + hello + "```\n\n```yaml\ndefaults: {timeout: " +
			"3s}\n```\n\n```console\n$ openmas version\nopenmas ...\n```\n" +
			"\n```console\n$ openmas run " +
			"examples/01-hello/openmas.yaml\n...\nSSE_SERVER_URL=http://127.0.0.1:8765\n^C\n...\n...INFO  stopped...\n```\n",
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
		"another exit code": {"```console\n$ openmas validate nowhere.yaml\nerror: there is no such file\n...\n```\n",
			"exit code 2"},
		"a forbidden command": {"```console\n$ rm -r docs\n```\n", `"rm"`},
		"another language":    {"```python\nprint()\n```\n", `language "python"`},
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

// A block is one fenced block of a document.
type block struct {
	line       int // of its first fence
	lang, name string
	lines      []string
}

func (b block) text() string { return strings.Join(b.lines, "\n") + "\n" }

func parseBlocks(text string) ([]block, error) {
	var out []block
	open := -1
	for i, line := range strings.Split(text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case !fence && open < 0:
		case !fence:
			out[open].lines = append(out[open].lines, line)
		case open >= 0:
			open = -1
		default:
			lang, name, _ := strings.Cut(info, " ")
			out = append(out, block{line: i + 1, lang: lang, name: strings.TrimSpace(name)})
			open = len(out) - 1
		}
	}
	if open >= 0 {
		return nil, fmt.Errorf("the block of line %d is not closed", out[open].line)
	}
	return out, nil
}

// check runs every block of a document and returns what is wrong.
func (c *docChecker) check(t *testing.T, name, text string) []error {
	t.Helper()
	blocks, err := parseBlocks(text)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", name, err)}
	}
	var errs []error
	fail := func(b block, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, b.line, err))
		}
	}
	modules := map[string]block{} // that the document writes, with the first block of each
	inited := initFolders(blocks)
	for _, b := range blocks {
		if !slices.Contains([]string{"go", "yaml", "console", "text"}, b.lang) {
			fail(b, fmt.Errorf("a block of language %q: it is none of go, yaml, console and text", b.lang))
		}
		if b.lang == "go" && b.name == "" {
			b.name = fmt.Sprintf("block-%s-%d/main.go", strings.TrimSuffix(filepath.Base(name), ".md"), b.line)
		}
		if dir, _, _ := strings.Cut(b.name, "/"); b.name == "" || inited[dir] {
			continue
		}
		fail(b, c.write(b.name, b.text()))
		if dir, _, ok := strings.Cut(b.name, "/"); ok && b.lang == "go" {
			if _, known := modules[dir]; !known {
				modules[dir] = b
			}
		}
	}
	for dir := range modules {
		fail(modules[dir], c.module(dir))
	}
	fail(block{}, c.workspace())
	for dir := range modules {
		out, err := c.command(t, filepath.Join(c.repo, dir), "go", "vet", "./...").CombinedOutput()
		if err != nil {
			fail(modules[dir], fmt.Errorf("go vet: %w\n%s", err, out))
			c.forget(dir)
		}
	}
	defer c.stopAll()
	for _, b := range blocks {
		if dir, _, _ := strings.Cut(b.name, "/"); inited[dir] {
			fail(b, c.same(b))
		}
		switch b.lang {
		case "yaml":
			fail(b, c.yaml(t, b))
		case "console":
			for _, step := range transcript.Steps(b.lines, b.line+1) {
				fail(block{line: step.Line}, c.console(t, step))
			}
		}
	}
	return errs
}

// initFolders are the folders that the document's commands make with openmas init.
func initFolders(blocks []block) map[string]bool {
	made := map[string]bool{}
	for _, b := range blocks {
		if b.lang != "console" {
			continue
		}
		for _, s := range transcript.Steps(b.lines, b.line+1) {
			if len(s.Args) > 2 && s.Args[0] == "openmas" && s.Args[1] == "init" {
				made[s.Args[2]] = true
			}
		}
	}
	return made
}

// same compares a block with the file that it shows.
func (c *docChecker) same(b block) error {
	text, err := os.ReadFile(filepath.Join(c.repo, filepath.FromSlash(b.name)))
	if err != nil {
		return fmt.Errorf("the block shows a file that openmas init did not write: %w", err)
	}
	if string(text) != b.text() {
		return fmt.Errorf("the block is not what openmas init wrote to %s:\n%s", b.name, text)
	}
	return nil
}

var envReference = regexp.MustCompile(`\$\{env:(\w+)\}`)

// yaml loads a project file, or the keys of one.
func (c *docChecker) yaml(t *testing.T, b block) error {
	text, name := b.text(), b.name
	if name == "" {
		name = "block.yaml"
		if !strings.Contains("\n"+text, "\nagents:") {
			text += "agents: {some-agent: {type: some-type}}\n"
		}
		if err := c.write(name, text); err != nil {
			return err
		}
	}
	environ := []string{}
	for _, m := range envReference.FindAllStringSubmatch(text, -1) {
		environ = append(environ, m[1]+"=a-value-for-the-test")
	}
	path := filepath.Join(c.repo, filepath.FromSlash(name))
	cfg, err := project.Load(path, project.Options{Environ: environ})
	if err != nil || cfg.Package == "" {
		return err
	}
	cmd := c.command(t, c.repo, "openmas", "validate", path)
	cmd.Env = append(cmd.Env, environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("openmas validate: %w\n%s", err, out)
	}
	return nil
}
