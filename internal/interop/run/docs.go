package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

// docs runs the pages of the documentation that have programs in Python or TypeScript, with the
// SDKs that these need.
func docs(ctx context.Context, args []string) error {
	pages, err := pages(".")
	if err != nil {
		return err
	}
	if err := install(ctx, []*toolbox.Tool{toolbox.PythonOld, toolbox.Peers, toolbox.Node}); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-timeout=8m", "-v", "-run",
		pattern(pages), "./internal/doctest"}, args...)...)
	if cmd.Env, err = sdkEnv(); err != nil {
		return err
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the test ends what it started
	ran := cmd.Run()
	for _, line := range strings.Split(said.String(), "\n") {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprintln(os.Stdout, line)
		}
	}
	if ran != nil {
		return fmt.Errorf("the documentation failed: %w", ran)
	}
	if os.Getenv("CI") == "true" && strings.Contains(said.String(), "--- SKIP: ") {
		return errors.New("a page was skipped, and CI=true wants all of them")
	}
	return nil
}

// foreign begins a block that needs an SDK.
var foreign = regexp.MustCompile("(?m)^```(python|typescript) ")

// pages are the documents below docs with a program in Python or TypeScript.
func pages(root string) (found []string, err error) {
	all, err := filepath.Glob(filepath.Join(root, "docs", "*", "*.md"))
	if err != nil {
		return nil, err
	}
	for _, page := range all {
		text, err := os.ReadFile(page)
		if err != nil {
			return nil, err
		}
		if foreign.Match(text) {
			name, err := filepath.Rel(root, page)
			if err != nil {
				return nil, err
			}
			found = append(found, filepath.ToSlash(name))
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no page of docs has a program in Python or TypeScript: is this the repository's root?")
	}
	return found, nil
}

// pattern has go test run the tests of these pages.
func pattern(pages []string) string {
	var out []string
	for _, p := range pages {
		var elements []string
		for _, e := range strings.Split("TestDocs/"+p, "/") {
			elements = append(elements, "^"+regexp.QuoteMeta(e)+"$")
		}
		out = append(out, strings.Join(elements, "/"))
	}
	return strings.Join(out, "|")
}

// sdkEnv is the environment in which the test finds what is installed.
func sdkEnv() ([]string, error) {
	env := os.Environ()
	if dir, ok := toolbox.PythonOld.Installed(); ok {
		env = append(env, "OPENMAS_DOCTEST_VENV="+dir)
	}
	node, hasNode := toolbox.Node.Installed()
	if dir, ok := toolbox.Peers.Installed(); ok && hasNode {
		bin, err := toolbox.NodeIn(node)
		if err != nil {
			return nil, err
		}
		env = append(env, "OPENMAS_DOCTEST_NODE_MODULES="+filepath.Join(dir, "node_modules"),
			"PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	}
	return env, nil
}
