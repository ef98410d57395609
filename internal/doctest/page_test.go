package doctest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/doctest/transcript"
	"github.com/openmas/openmas/runtime/project"
)

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
	runs := len(c.missingSDKs(blocks)) == 0
	for _, b := range blocks {
		if !slices.Contains(languages, b.lang) {
			fail(b, fmt.Errorf("a block of language %q: it is none of %s", b.lang, strings.Join(languages, ", ")))
		}
		if b.lang == "go" && b.name == "" {
			b.name = fmt.Sprintf("block-%s-%d/main.go", strings.TrimSuffix(filepath.Base(name), ".md"), b.line)
		}
		if b.name == "" || b.later || inited[b.folder()] {
			continue
		}
		fail(b, c.write(b.name, c.text(b)))
		if _, known := modules[b.folder()]; !known && b.lang == "go" && strings.Contains(b.name, "/") {
			modules[b.folder()] = b
		}
	}
	for dir := range modules {
		fail(modules[dir], c.module(dir))
	}
	fail(block{}, c.workspace())
	if c.vet(t, slices.Sorted(maps.Keys(modules))...) != nil { // which of them?
		for dir, first := range modules {
			if err := c.vet(t, dir); err != nil {
				fail(first, err)
				c.forget(dir)
			}
		}
	}
	c.folder = "."
	defer c.stopAll()
	for _, b := range blocks {
		switch {
		case b.later && runs:
			fail(b, c.write(b.name, c.text(b)))
		case !b.later && inited[b.folder()]:
			fail(b, c.same(b))
		}
		switch {
		case b.lang == "yaml" && (runs || !b.later):
			fail(b, c.yaml(t, b))
		case b.lang == "json" && !json.Valid([]byte(b.text())):
			fail(b, fmt.Errorf("the block is not valid JSON"))
		case b.lang == "python" || b.lang == "typescript":
			fail(b, c.foreign(b))
		case b.lang == "console" && runs:
			for _, step := range transcript.Steps(b.lines, b.line+1) {
				fail(block{line: step.Line}, c.console(t, step))
			}
		}
	}
	if !runs && len(errs) == 0 {
		t.Skipf("%s: its files were written and checked, and its commands were NOT run: %s is not set. make interop "+
			"runs them", name, strings.Join(c.missingSDKs(blocks), " and "))
	}
	return errs
}

// vet compiles and vets modules of the workspace.
func (c *docChecker) vet(t *testing.T, dirs ...string) error {
	t.Helper()
	if len(dirs) == 0 {
		return nil
	}
	args := []string{"vet"}
	for _, dir := range dirs {
		args = append(args, "./"+dir+"/...")
	}
	out, err := c.command(t, c.repo, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go vet: %w\n%s", err, out)
	}
	return nil
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
