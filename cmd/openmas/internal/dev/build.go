package dev

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
	"github.com/openmas/openmas/runtime"
)

// build begins a build, when the one before it has ended. changed are the files that it is for;
// nil: it is the first one.
func (d *dev) build(ctx context.Context, changed []string) {
	if d.builds == nil {
		return
	}
	before, builds := d.building, d.builds
	before.stop()
	inner, cancel := context.WithCancel(ctx)
	b := &building{began: time.Now(), cancel: cancel, over: make(chan struct{})}
	d.building = b
	d.newer.Store(true)
	if changed == nil {
		d.say("building %s", d.packageName())
	} else {
		d.say("%s: building", names(changed))
	}
	d.tasks.Go(func() {
		defer cancel()
		var result built
		func() {
			defer close(b.over)
			if before != nil {
				<-before.over
			}
			if inner.Err() != nil {
				return
			}
			listed := make(chan struct{})
			go func() {
				defer close(listed)
				result.sources, result.listed = builds.Sources(inner)
			}()
			result.program, result.err = builds.Build(inner)
			result.ended = time.Now()
			<-listed
		}()
		d.post(func() { d.built(ctx, b, result) })
	})
}

// packageName is what to call the package.
func (d *dev) packageName() string {
	if name := fromHere(d.builds.Dir()); name != "." {
		return name
	}
	return filepath.Base(d.builds.Dir())
}

// built is how a build has ended.
type built struct {
	program string
	err     error
	ended   time.Time
	sources gobuild.Sources
	listed  error // why there are no sources
}

// built takes the result of a build, if it is the newest.
func (d *dev) built(ctx context.Context, b *building, result built) {
	if d.building != b || b.stopped {
		return
	}
	d.building = nil
	d.newer.Store(false)
	if result.listed == nil {
		d.watched.sources = result.sources
		d.sources = d.watched.lookAtSources().since(d.sources, b.began)
	}
	took := result.ended.Sub(b.began)
	var compiler *gobuild.CompileError
	switch {
	case errors.As(result.err, &compiler):
		d.showCompiler(compiler.Text)
	case result.err != nil:
		d.say("%v", result.err)
	}
	waits := d.waits
	d.waits = false
	if result.err != nil {
		d.goesOn("the build has failed")
		if waits {
			d.apply(ctx) // to show what is wrong in the project file too
		}
		return
	}
	before := d.latest.Load()
	if before != nil && before.Command[0] == result.program {
		d.say("built in %s: it is the same program", seconds(took))
		if d.system != nil && !waits {
			return
		}
	} else {
		p := program(result.program)
		d.latest.Store(&p)
		d.say("built in %s", seconds(took))
	}
	d.applyBuilt(ctx, result.ended)
}

// program is a program that was built, whose agents have what they would have in this process.
func program(exe string) runtime.Program {
	p := runtime.Program{Command: []string{exe}, Env: map[string]string{}}
	for _, kv := range os.Environ() {
		if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
			p.Env[name] = value
		}
	}
	return p
}

// names are files as a person would write them; not more than fit into a line.
func names(files []string) string {
	const most = 3
	var out []string
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f] {
			continue
		}
		seen[f] = true
		if len(out) < most {
			out = append(out, fromHere(f))
		}
	}
	text := strings.Join(out, ", ")
	if more := len(seen) - len(out); more > 0 {
		text += " and more"
	}
	return text
}
