package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/keyboard"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/runtime/project"
)

const (
	// poll is between two looks at the files. What the program is built from may be many files: a
	// look at them takes a twentieth of the time at most, if pollMost allows it.
	poll      = 50 * time.Millisecond
	pollMost  = time.Second
	pollShare = 20
	// settle is how long files rest before they are taken: an editor writes more than one.
	settle = 50 * time.Millisecond
)

// run runs the project until ctx ends.
func (d *dev) run(ctx context.Context) error {
	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	d.quit = quit
	d.at = d.flags.At(d.files[0])
	d.busy, d.keys, d.events = make(chan struct{}, 1), make(chan byte), make(chan func())
	if cli.OnTerminal(d.app.Err) {
		d.colors = logs.Colors(os.Getenv)
		keys, err := keyboard.OpenKeys(d.app.In)
		if err != nil {
			return err
		}
		if d.hasKeys = keys != nil; d.hasKeys {
			defer keys.Close()
			d.tasks.Go(func() { d.typed(ctx, keys) })
			d.say(help)
		}
	}
	defer d.end(quit)
	d.watched.project = projectFiles(d.files)
	d.project = d.watched.lookAtProject()
	d.read(ctx)
	next := time.NewTimer(poll)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return d.failed
		case do := <-d.events:
			do()
		case key := <-d.keys:
			d.press(ctx, key)
		case <-next.C:
			next.Reset(d.look(ctx))
		}
	}
}

// end waits for everything that was begun.
func (d *dev) end(quit func(error)) {
	quit(nil)
	ended := make(chan struct{})
	go func() {
		d.tasks.Wait()
		close(ended)
	}()
	for {
		select {
		case <-d.events: // it comes too late
		case <-ended:
			if d.builds != nil {
				d.former = append(d.former, d.builds)
			}
			d.forget()
			return
		}
	}
}

// look looks whether files have changed, and takes them when they have rested. It returns when to
// look again.
func (d *dev) look(ctx context.Context) time.Duration {
	began := time.Now()
	project := d.watched.lookAtProject()
	changed := project.changed(d.project)
	d.project, d.pending.project = project, append(d.pending.project, changed...)
	// What was saved together is taken together.
	if !began.Before(d.next) || len(d.pending.sources)+len(d.pending.project) > 0 {
		sources := d.watched.lookAtSources()
		newSources := sources.changed(d.sources)
		d.sources, d.pending.sources = sources, append(d.pending.sources, newSources...)
		if len(newSources) > 0 {
			d.building.stop()
		}
		changed = append(changed, newSources...)
		d.next = time.Now().Add(min(pollShare*time.Since(began), pollMost))
	}
	if len(changed) > 0 {
		d.pending.since = began
	}
	if len(d.pending.sources)+len(d.pending.project) == 0 {
		return poll
	}
	if time.Since(d.pending.since) < settle {
		return settle / 2
	}
	now := d.pending
	d.pending = pending{}
	if d.isGone() {
		return poll
	}
	d.noteLink()
	if len(now.sources) > 0 && (d.building == nil || d.building.stopped) {
		d.build(ctx, now.sources)
	}
	if len(now.project) > 0 {
		d.read(ctx)
	}
	return poll
}

// isGone reports whether the folder of the project or of its package is not there, and says so
// once: that all files have gone is no change to build or to read.
func (d *dev) isGone() bool {
	folders := []string{d.dir}
	if d.builds != nil {
		folders = append(folders, d.builds.Dir())
	}
	for _, dir := range folders {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			if d.gone != dir {
				d.goesOn(fmt.Sprintf("the folder %s is gone, it was moved or removed (put it back, or stop with %s "+
					"and run openmas dev where it is now)", dir, d.howToStop()))
			}
			d.gone = dir
			return true
		}
	}
	if d.gone != "" {
		d.say("the folder %s is back", d.gone)
		d.gone = ""
	}
	return false
}

// noteLink says once that the project file has become a link to another one.
func (d *dev) noteLink() {
	leads, err := filepath.EvalSymlinks(d.files[0])
	if err != nil || leads == d.led {
		return // who reads it says what is wrong with it
	}
	if d.led = leads; leads != d.real {
		d.say("%s leads to %s now: openmas call, status and the others find what runs with -p %s, or when openmas dev "+
			"is stopped and run again", d.files[0], leads, d.real)
	}
}

// read reads the project file. What is wrong in it is shown, and it is not taken.
func (d *dev) read(ctx context.Context) {
	began := time.Now()
	cfg, err := d.load()
	d.watched.project = projectFiles(d.files)
	d.project = d.watched.lookAtProject().since(d.project, began)
	if err != nil {
		d.validate(ctx, d.latest.Load(), errNotBuilt)
		d.goesOn("the project file is wrong")
		return
	}
	if before := d.cfg.Load(); (before == nil || before.Package != cfg.Package) && !d.begin(ctx, cfg) {
		return
	}
	d.cfg.Store(cfg)
	d.apply(ctx)
}

// begin begins with the package that cfg names. It reports whether there may be one.
func (d *dev) begin(ctx context.Context, cfg *project.Config) bool {
	var builds *gobuild.Generations
	if err := gobuild.HasGo(cfg); err != nil && d.system == nil {
		d.failed = err
		d.quit(err)
		return false
	}
	if cfg.Package != "" {
		var err error
		if builds, err = gobuild.NewGenerations(cfg); err != nil {
			d.validate(ctx, nil, err)
			d.goesOn("the package cannot be built")
			return false
		}
	}
	if d.builds != nil {
		d.former = append(d.former, d.builds)
	}
	d.building.stop()
	d.newer.Store(false)
	d.latest.Store(nil)
	d.builds, d.watched.sources = builds, gobuild.Sources{}
	if builds != nil {
		d.watched.sources.Dirs = []string{builds.Dir()}
	}
	d.sources = d.watched.lookAtSources()
	d.build(ctx, nil)
	return true
}
