package deploy

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/openmas/openmas/runtime/project"
)

// A kind is a way to deploy a program.
type kind struct {
	flag, says string
	files      []string // NAME stands for the program's
}

var kinds = []kind{
	{"docker", "a Dockerfile", []string{"Dockerfile", ".dockerignore"}},
	{"systemd", "a systemd unit", []string{"NAME.service"}},
	{"compose", "a Dockerfile and a Compose file", []string{"Dockerfile", ".dockerignore", "compose.yaml"}},
	{"kubernetes", "a Dockerfile and a Kubernetes Deployment", []string{"Dockerfile", ".dockerignore",
		"NAME.kubernetes.yaml"}},
}

//go:embed files
var files embed.FS

// description is what the files say of a project.
type description struct {
	Name string // of the program
	// Base is the image that has what the agents need; Programs is what it may lack.
	Base     string
	Programs []string
	Gateway  string   // the port; empty: there is none
	Ops      string   // the port for probes
	Vars     []string // that the project file reads
	Stop     int      // seconds that a stop may take
	State    string   // the state folder, below the working directory or absolute
	Files    []string // that agents are started with, below the folder of the program
	Outside  []string // the same, elsewhere: an image cannot be made of them there
}

// describe tells what deploys cfg as the program out, with the variables that its file reads.
func describe(cfg *project.Config, out string, vars []string) *description {
	d := &description{Name: strings.TrimSuffix(filepath.Base(out), ".exe"), Ops: "9464",
		Stop: int(cfg.Drain.Timeout.Seconds()) + 5, Vars: vars}
	if cfg.Gateway != nil {
		d.Gateway = port(cfg.Gateway.Listen, "8765")
	}
	if cfg.Ops != nil {
		d.Ops = port(cfg.Ops.Listen, d.Ops)
	}
	for _, name := range cfg.AgentNames() {
		if command := cfg.Agents[name].Command; len(command) > 0 && !slices.Contains(d.Programs, command[0]) {
			d.Programs = append(d.Programs, command[0])
		}
	}
	d.Base = base(d.Programs)
	d.State = relative(cfg.Dir, cfg.StateDir())
	for _, file := range startedWith(cfg) {
		at := relative(filepath.Dir(out), file)
		if filepath.IsAbs(at) || at != relative(cfg.Dir, file) {
			d.Outside = append(d.Outside, relative(cfg.Dir, file))
		} else {
			d.Files = append(d.Files, at)
		}
	}
	return d
}

// relative is a file as seen from dir, with slashes; as it is where it is not below dir.
func relative(dir, file string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return file
	}
	if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return file
}

// startedWith are the files that stand in the commands of agents: their programs.
func startedWith(cfg *project.Config) (files []string) {
	for _, name := range cfg.AgentNames() {
		for _, arg := range cfg.Agents[name].Command {
			file := cfg.Path(arg)
			info, err := os.Stat(file)
			if err == nil && info.Mode().IsRegular() && !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files
}

// port is the one of an address, or other where that is any.
func port(addr, other string) string {
	if _, p, err := net.SplitHostPort(addr); err == nil && p != "0" {
		return p
	}
	return other
}

// The images with what foreign agents are mostly written in. A static program needs none.
const (
	bareImage   = "alpine:3.22"
	pythonImage = "python:3.13-slim"
	nodeImage   = "node:24-slim"
	otherImage  = "debian:stable-slim"
)

func base(programs []string) string {
	image := bareImage
	for _, p := range programs {
		need := otherImage
		switch filepath.Base(p) {
		case "python", "python3", "pip", "uv", "uvx":
			need = pythonImage
		case "node", "npx", "npm":
			need = nodeImage
		}
		switch {
		case image == bareImage:
			image = need
		case image != need:
			return otherImage
		}
	}
	return image
}

// Mount is where the image keeps the state.
func (d *description) Mount() string {
	if path.IsAbs(d.State) {
		return d.State
	}
	return path.Join("/app", d.State)
}

func (d *description) render(file string) ([]byte, error) {
	t, err := template.ParseFS(files, "files/"+strings.TrimPrefix(file, ".")+".tmpl")
	if err != nil {
		return nil, fmt.Errorf("read the template of %s: %w", file, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, d); err != nil {
		return nil, fmt.Errorf("write %s: %w", file, err)
	}
	return b.Bytes(), nil
}
