package dev

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/openmas/openmas/cmd/openmas/internal/gobuild"
	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// A dev is one run of the command. Everything below events belongs to the goroutine of run; others
// send it what to do there.
type dev struct {
	app   *cli.App
	flags cli.ProjectFlags
	logs  cli.LogFlags
	log   *slog.Logger
	files []string // the project file, and that of the profile
	at    []string // the flags with which other commands read them
	dir   string   // of the project file
	real  string   // the project file without symbolic links, by which commands find this process
	led   string   // where the project file led when that was said last
	gone  string   // a folder that is not there

	cfg   atomic.Pointer[project.Config] // that was read last without a mistake
	taken *project.Config                // that the system runs with
	// reported is the project file about which everything was said that has no effect here.
	reported *project.Config
	latest   atomic.Pointer[runtime.Program] // that was built last
	newer    atomic.Bool                     // there may be a newer program soon: a build is under way
	tasks    conc.WaitGroup
	// waiting: a start or a reload is under way.
	waiting atomic.Bool
	busy    chan struct{} // full: a key's work is under way
	keys    chan byte
	events  chan func()
	quit    func(why error)

	watched watched
	sources look // as they were taken last
	project look
	next    time.Time // when to look at the sources again
	pending pending

	builds   *gobuild.Generations   // nil: there is no package, or none that can be built
	former   []*gobuild.Generations // of packages that the project has had since the system began
	building *building              // nil: nothing is
	system   *system                // nil: none runs
	job      *job                   // what the system is doing; nil: nothing
	again    bool                   // there is something new for it
	waits    bool                   // the project file has failed, and is taken with the next program
	restarts bool                   // it is to be started again when it has ended
	wasUp    bool                   // a system was
	failed   error                  // what the command ends with
	hasKeys  bool
	colors   bool
}

// pending is what has changed and was not taken yet.
type pending struct {
	sources, project []string
	since            time.Time
}

// A system is the project as it runs.
type system struct {
	*runtime.Runtime
	stop func(why error)
	up   bool // it takes changes
}

// A job is a start of the system, or a reload. One goes on at a time.
type job struct {
	cancel func(why error)
}

// A building is a build that is under way.
type building struct {
	began   time.Time
	cancel  context.CancelFunc
	over    chan struct{} // closed when it has ended
	stopped bool          // its result is not wanted any more
}

// stop ends a build whose result would be old.
func (b *building) stop() {
	if b != nil {
		b.stopped = true
		b.cancel()
	}
}

// post has do done by the goroutine of run.
func (d *dev) post(do func()) { d.events <- do }

// load reads the project file as the system gets it.
func (d *dev) load() (*project.Config, error) {
	cfg, err := d.app.Again(&d.flags, d.files[0])()
	if err == nil && cfg.Telemetry.Recent == 0 {
		cfg.Telemetry.Recent = recentTraces
	}
	return cfg, err
}

// recentTraces is how large the files with recent traces become, for the key that shows the last
// one.
const recentTraces = 64 << 20

// showTime bounds a command that shows something, besides what runs.
const showTime = 10 * time.Second

// Colors of what a person should not overlook.
const (
	plain = ""
	green = "\x1b[32m"
	red   = "\x1b[31m"
)

// say writes a line for people.
func (d *dev) say(format string, args ...any) { d.sayIn(plain, format, args...) }

// sayIn is say with a color, where the terminal has some.
func (d *dev) sayIn(color, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if cfg := d.cfg.Load(); cfg != nil {
		text = cfg.Redact(text)
	}
	text = "openmas: " + strings.TrimRight(text, "\n")
	if d.colors && color != plain {
		first, rest, _ := strings.Cut(text, "\n")
		text = strings.TrimRight(color+first+"\x1b[0m\n"+rest, "\n")
	}
	fmt.Fprintln(d.app.Err, text)
}

// forget removes programs that nothing starts any more. What cannot be removed is by a later build.
func (d *dev) forget() {
	for _, old := range d.former {
		_ = old.Close()
	}
	d.former = nil
}

// goesOn says what a failure means for what runs.
func (d *dev) goesOn(why string) {
	if d.system != nil {
		d.sayIn(red, "%s: what runs goes on as it is", why)
	} else {
		d.sayIn(red, "%s: waiting for a change", why)
	}
}

// showCompiler writes what the go command says, as it says it.
func (d *dev) showCompiler(text string) {
	_, _ = io.WriteString(d.app.Err, strings.TrimRight(text, "\n")+"\n")
}

func seconds(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
