// Package keep writes what a process keeps of its work into files of the state folder.
package keep

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/internal/rotate"
	"github.com/openmas/openmas/runtime/internal/mask"
	"github.com/openmas/openmas/runtime/project"
)

// LogFolder is the name of the folder with the files of the log.
const LogFolder = "logs"

// A Log is the log of a process in files. A nil *Log keeps nothing.
type Log struct {
	files   *rotate.Writer
	own     *slog.Logger // writes to the files only
	started atomic.Bool
	broken  sync.Once
	shown   slog.Handler
}

// NewLog returns the Log of a process, and a handler that writes to it and to shown. A program that
// has no project file has no Log: nobody could find its files.
func NewLog(c *project.Config, secrets *mask.Secrets, process string, shown slog.Handler) (*Log, slog.Handler) {
	level, err := logs.ParseLevel(c.Log.Level)
	if c.File == "" || c.Log.Size < 0 || err != nil {
		return nil, shown
	}
	l := &Log{shown: shown, files: rotate.New(c.StateDir(), LogFolder, process,
		rotate.Bounds{Size: int64(c.Log.Size), Files: c.Log.Files, Age: c.Log.Age})}
	json := logs.NewJSON(l.files, level)
	l.own = secrets.Logger(slog.New(json))
	return l, slog.NewMultiHandler(shown, kept{json, l})
}

// Start begins the writing. With quiet it begins with the first line that says that something is
// wrong, and the lines before it: a command that makes one call has nothing to tell else.
func (l *Log) Start(quiet bool, version string) {
	if l == nil {
		return
	}
	l.started.Store(true)
	if !quiet {
		l.files.Open()
		l.own.Info("process begins", "pid", os.Getpid(), "version", version)
	}
}

// Close ends the writing; err is what the process ends with.
func (l *Log) Close(quiet bool, err error) {
	if l == nil {
		return
	}
	switch {
	case quiet:
	case err != nil:
		l.own.Error("process ends", "pid", os.Getpid(), "error", err)
	default:
		l.own.Info("process ends", "pid", os.Getpid())
	}
	_ = l.files.Close() // what could not be written was reported
}

// kept is the handler of the files.
type kept struct {
	slog.Handler
	log *Log
}

// Handle implements slog.Handler.
func (k kept) Handle(ctx context.Context, r slog.Record) error {
	if (r.Level >= slog.LevelWarn || r.Message == calls.Failed) && k.log.started.Load() {
		k.log.files.Open()
	}
	err := k.Handler.Handle(ctx, r)
	if err != nil {
		k.log.broken.Do(func() {
			slog.New(k.log.shown).WarnContext(ctx, "lines of the log are not kept in files", "error", err)
		})
	}
	return err
}

// WithAttrs implements slog.Handler.
func (k kept) WithAttrs(attrs []slog.Attr) slog.Handler {
	return kept{k.Handler.WithAttrs(attrs), k.log}
}

// WithGroup implements slog.Handler.
func (k kept) WithGroup(name string) slog.Handler { return kept{k.Handler.WithGroup(name), k.log} }
