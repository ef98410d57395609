package project_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openmas/openmas/runtime/project"
)

func TestDifferences(t *testing.T) {
	const before = `
project: p
agents:
  a: {type: x, timeout: 5s, config: {name: one, deep: {n: 1}}}
  b: {command: [b, "1"], env: {KEY: "${env:SECRET}"}}
  gone: {type: x}
`
	const after = `
project: p
defaults: {retry: {attempts: 5}}
drain: {timeout: 10s}
gateway: {listen: "127.0.0.1:0"}
agents:
  a: {type: x, timeout: 3s, config: {name: two, deep: {n: 1, m: [1]}}, tools: {t: {timeout: 1s}}}
  b: {command: [b, "2"], env: {KEY: "${env:OTHER}"}}
  new: {type: x}
`
	environ := []string{"SECRET=first-secret", "OTHER=second-secret"}
	load := func(text string) *project.Config {
		file := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := project.Load(file, project.Options{Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := load(before)
	var got []string
	for _, d := range c.Differences(load(after)) {
		got = append(got, d.Key()+": "+d.Old+" -> "+d.New)
	}
	want := []string{
		"agents.a.config.deep.m:  -> [1]",
		"agents.a.config.name: one -> two",
		"agents.a.timeout: 5s -> 3s",
		"agents.a.tools.t:  -> {…}",
		`agents.b.command: [b, "1"] -> [b, "2"]`,
		`agents.b.env.KEY: "***" -> "***"`,
		"agents.gone: {…} -> ",
		"agents.new:  -> {…}",
		"defaults.retry.attempts: 3 -> 5",
		"gateway:  -> {…}",
		"drain.timeout: 25s -> 10s",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if same := c.Differences(load(before)); len(same) > 0 {
		t.Errorf("a file read twice differs: %v", same)
	}
}
