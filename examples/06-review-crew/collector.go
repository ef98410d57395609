package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/openmas/openmas/agent"
)

// Tree names a source tree.
type Tree struct {
	Root string `json:"root" jsonschema:"absolute path of the folder"`
}

// Files are the Go files of a tree, by path below its root, in order.
type Files struct {
	Paths []string `json:"paths"`
	Lines int      `json:"lines"`
	Notes []string `json:"notes,omitempty" jsonschema:"what was left out, and why"`
}

// Found is the event for each file.
type Found struct {
	Path  string `json:"path"`
	Lines int    `json:"lines"`
}

// Collector finds the Go files that people write and read: no tests' data, nothing vendored,
// generated or hidden.
type Collector struct{}

// Capabilities implements agent.Agent.
func (c *Collector) Capabilities() agent.Capabilities {
	return agent.Capabilities{
		Description: "Finds the Go files of a source tree.",
		Tools: []agent.Tool{agent.NewTool("files", "List the Go files of a source tree; publishes file.found "+
			"for each.", c.Files, agent.ReadOnly())},
	}
}

// Files lists the tree.
func (c *Collector) Files(ctx context.Context, t Tree) (*Files, error) {
	if info, err := os.Stat(t.Root); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", t.Root)
	}
	out := &Files{Paths: []string{}}
	err := filepath.WalkDir(t.Root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrPermission):
			out.Notes = append(out.Notes, fmt.Sprintf("%s cannot be read", below(t.Root, path)))
			return fs.SkipDir
		case err != nil:
			return err
		case d.IsDir() && path != t.Root && skipped(d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		return c.take(ctx, out, t.Root, path)
	})
	if err != nil {
		return nil, fmt.Errorf("walk %s: %w", t.Root, err)
	}
	return out, nil
}

func (c *Collector) take(ctx context.Context, out *Files, root, path string) error {
	rel := below(root, path)
	src, err := readSource(path)
	if err != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("%s: %v", rel, err))
		return nil
	}
	if generated(src) {
		return nil
	}
	lines := strings.Count(string(src), "\n")
	out.Paths, out.Lines = append(out.Paths, rel), out.Lines+lines
	return agent.Publish(ctx, "file.found", Found{Path: rel, Lines: lines})
}

func skipped(dir string) bool {
	return dir == "vendor" || dir == "testdata" || dir == "node_modules" || strings.HasPrefix(dir, ".") ||
		strings.HasPrefix(dir, "_")
}
