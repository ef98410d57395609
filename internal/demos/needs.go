package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

// needs are the tools of demos that need more than Go.
var needs = map[string][]*toolbox.Tool{
	"05-polyglot": {toolbox.PythonOld, toolbox.Node, toolbox.Peers},
	"08-ide":      {toolbox.Node, toolbox.Peers},
	"10-jaeger":   {toolbox.Jaeger},
}

// prepare installs what a demo needs, and starts what runs beside it until release is called.
func (p *player) prepare(ctx context.Context, name string) (release func(), err error) {
	dirs := map[*toolbox.Tool]string{}
	for _, t := range needs[name] {
		err := t.Install(ctx, func(what string) {
			if what != "here" {
				fmt.Fprintf(os.Stderr, "demos: %s: %s\n", t.Name(), what)
			}
		})
		if err != nil {
			return nil, err
		}
		dirs[t], _ = t.Installed()
	}
	if dir := dirs[toolbox.Node]; dir != "" {
		bin, err := toolbox.NodeIn(dir)
		if err != nil {
			return nil, err
		}
		p.path = append(p.path, bin)
		p.inspector = []string{filepath.Join(bin, "node"), filepath.Join(dirs[toolbox.Peers], "node_modules",
			"@modelcontextprotocol", "inspector", "clients", "launcher", "build", "index.js")}
	}
	demo := filepath.Join(p.root, "examples", name)
	if dir := dirs[toolbox.PythonOld]; dir != "" {
		err = errors.Join(link(dir, filepath.Join(demo, ".venv")),
			link(filepath.Join(dirs[toolbox.Peers], "node_modules"), filepath.Join(demo, "node_modules")))
	}
	if err != nil {
		return nil, err
	}
	if dir := dirs[toolbox.Jaeger]; dir != "" {
		return jaeger(ctx, dir)
	}
	return func() {}, nil
}

// link makes a link to an installed folder, in place of one that leads elsewhere. What the user
// has made there stays.
func link(target, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink == 0:
		return nil
	default:
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return os.Symlink(target, path)
}

// The ports of Jaeger, which the demo's project file and README name.
const otlpHTTP, otlpGRPC, query = 4318, 4317, 16686

// jaeger runs a Jaeger until it is released, unless one runs there (make jaeger).
func jaeger(ctx context.Context, dir string) (release func(), err error) {
	if answers(ctx) {
		return func() {}, nil
	}
	cmd := exec.CommandContext(ctx, toolbox.JaegerIn(dir), toolbox.JaegerFlags(otlpHTTP, otlpGRPC, query)...)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // killed
	}()
	release = func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil, fmt.Errorf("jaeger ended at once: is one of the ports %d, %d and %d in use?", otlpHTTP,
				otlpGRPC, query)
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		case <-tick.C:
		}
		if answers(ctx) {
			return release, nil
		}
	}
}

// answers reports whether Jaeger answers queries.
func answers(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		fmt.Sprintf("http://127.0.0.1:%d/api/services", query), nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // nothing is read
	return resp.StatusCode == http.StatusOK
}
