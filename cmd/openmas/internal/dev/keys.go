package dev

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/openmas/openmas/internal/cli"
	"github.com/openmas/openmas/internal/keyboard"
	"github.com/openmas/openmas/internal/logs"
)

const help = "keys: r restart, l log level, t last trace, s status, q quit"

// typed reads keys until ctx or the terminal ends. It returns when its goroutine has ended.
func (d *dev) typed(ctx context.Context, keys *keyboard.Keys) {
	for {
		pressed, err := keys.Read(ctx)
		if err != nil {
			return // without a terminal there are no keys
		}
		for _, k := range pressed {
			select {
			case d.keys <- k:
			case <-ctx.Done():
				return
			}
		}
	}
}

// press does what a key is for.
func (d *dev) press(ctx context.Context, key byte) {
	switch key {
	case 'r', 'R':
		d.restart(ctx)
	case 'l', 'L':
		d.nextLevel(ctx)
	case 't', 'T':
		if d.runs() {
			d.show(ctx, append([]string{"trace", "--last"}, d.at...)...)
		}
	case 's', 'S':
		if d.runs() {
			d.show(ctx, append([]string{"status"}, d.at...)...)
		}
	case 'q', 'Q', 4: // Ctrl-D
		d.quit(errQuit)
	case '\r', '\n':
		_, _ = io.WriteString(d.app.Err, "\n") // to part what comes from what was
	case 'h', 'H', '?', ' ':
		d.say(help)
	}
}

// runs reports whether there is a system to show something of, and says why there is none.
func (d *dev) runs() bool {
	switch {
	case d.system != nil:
		return true
	case d.building != nil && !d.building.stopped:
		d.say("nothing runs yet: the package is being built, for %s so far", seconds(time.Since(d.building.began)))
	default:
		d.say("nothing runs: waiting for a change")
	}
	return false
}

// levels are those of the log, in the order in which a key goes through them.
var levels = []slog.Level{slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, logs.LevelTrace}

// nextLevel has the log say more, or least after most, here and in the agents' processes.
func (d *dev) nextLevel(ctx context.Context) {
	next := 0
	for n, l := range levels {
		if l == d.logs.Level.Level() {
			next = (n + 1) % len(levels)
		}
	}
	d.logs.Level.Set(levels[next])
	d.say("log level: %s", strings.ToLower(logs.LevelName(levels[next])))
	if s := d.system; s != nil && s.up {
		d.aside(ctx, func(ctx context.Context) { s.TellLogLevel(ctx) })
	}
}

// aside does something beside all else, one at a time: a key that comes meanwhile is not taken.
func (d *dev) aside(ctx context.Context, do func(context.Context)) {
	select {
	case d.busy <- struct{}{}:
	default:
		return
	}
	d.tasks.Go(func() {
		defer func() { <-d.busy }()
		ctx, cancel := context.WithTimeout(ctx, showTime)
		defer cancel()
		do(ctx)
	})
}

// show runs another command of openmas.
func (d *dev) show(ctx context.Context, args ...string) {
	p := d.app.Program
	p.Become, p.Commands = nil, nil
	d.aside(ctx, func(ctx context.Context) {
		cli.Run(ctx, p, args, cli.Streams{In: strings.NewReader(""), Out: d.app.Err, Err: d.app.Err})
	})
}

// Why a system ends that a key has ended.
var (
	errQuit    = errors.New("q was pressed")
	errRestart = errors.New("r was pressed")
)

// restart starts the system anew, with the project file and the program as they are.
func (d *dev) restart(ctx context.Context) {
	switch {
	case d.restarts:
	case d.system != nil:
		d.restarts = true
		d.say("restarting")
		d.system.stop(errRestart)
	case d.building == nil && d.latest.Load() == nil:
		d.build(ctx, nil)
	default:
		d.apply(ctx)
	}
}
