package gobuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Sources are what a program is built from, as far as somebody may edit it: not the standard
// library, nor modules at a version.
type Sources struct {
	Dirs  []string // of packages: their Go files count
	Files []string // go.mod, go.sum and go.work, and files that are embedded
}

// listed is what is read of the answer of go list.
type listed struct {
	Dir        string
	Standard   bool
	EmbedFiles []string
	Module     *struct {
		Main    bool
		Version string
		GoMod   string
		Replace *struct{ Version, GoMod string }
	}
}

// Sources asks the go command for what the package is built from. It has what is known when the
// package does not compile, too.
func (g *Generations) Sources(ctx context.Context) (s Sources, err error) {
	s.Dirs = []string{g.dir}
	goTool, err := goCommand(g.name)
	if err != nil {
		return s, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, goTool, "list", "-e", "-deps", "-json=Dir,Standard,EmbedFiles,Module", ".")
	cmd.Dir, cmd.Stdout = g.dir, &out
	together(cmd)
	if err := cmd.Run(); err != nil {
		return s, fmt.Errorf("list what %s is built from: %w", g.name, err)
	}
	files, dirs := map[string]bool{}, map[string]bool{g.dir: true}
	for in := json.NewDecoder(&out); ; {
		var p listed
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return s, fmt.Errorf("list what %s is built from: %w", g.name, err)
		}
		if p.Standard || p.Dir == "" || p.Module == nil {
			continue
		}
		mod := p.Module.GoMod
		switch r := p.Module.Replace; {
		case r != nil && r.Version != "", r == nil && !p.Module.Main && p.Module.Version != "":
			continue // it is in the module cache
		case r != nil:
			mod = r.GoMod
		}
		dirs[p.Dir] = true
		for _, name := range p.EmbedFiles {
			files[filepath.Join(p.Dir, name)] = true
		}
		if mod != "" {
			files[mod] = true
			files[strings.TrimSuffix(mod, ".mod")+".sum"] = true
		}
	}
	if work := g.workspace(ctx, goTool); work != "" {
		files[work] = true
	}
	s.Dirs, s.Files = slices.Sorted(maps.Keys(dirs)), slices.Sorted(maps.Keys(files))
	return s, nil
}

// workspace is the go.work file that the go command uses, mostly one that it finds in a folder
// above; empty: there is none.
func (g *Generations) workspace(ctx context.Context, goTool string) string {
	cmd := exec.CommandContext(ctx, goTool, "env", "GOWORK")
	cmd.Dir = g.dir
	together(cmd)
	out, err := cmd.Output()
	if work := strings.TrimSpace(string(out)); err == nil && work != "off" {
		return work
	}
	return ""
}
