package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/openmas/openmas/internal/keyboard"
	"github.com/openmas/openmas/internal/logs"
)

const (
	watchEvery = time.Second
	// watchLook is how soon a key, a new size of the terminal or the end of a context is noticed.
	watchLook = 50 * time.Millisecond

	// Escape sequences of a terminal: the screen beside the one with what was there before, without
	// a cursor, on which a line that is too long goes on behind the edge.
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// watch shows what look returns anew every second, on a screen of its own, until a key or ctx ends
// it. A system that cannot be asked is an error at first only.
func (a *App) watch(ctx context.Context, out *os.File, l *LogFlags,
	look func(context.Context, *slog.Logger) (systemStatus, error)) error {
	said := &notes{} // what would be written over the picture
	errOut, jsonErr := a.Err, a.jsonErr
	a.Err = said
	defer func() { a.Err, a.jsonErr = errOut, jsonErr }()
	log, err := a.Logger(l)
	if err != nil {
		return err
	}
	s, err := look(ctx, log)
	if err != nil {
		return err
	}
	keys, err := keyboard.Open(a.In)
	if err != nil {
		return err
	}
	defer keys.Close()
	fmt.Fprint(out, enterScreen)
	defer fmt.Fprint(out, leaveScreen)
	v := &view{color: logs.Colors(a.getenv)}
	for {
		if text := said.take(); err == nil && text != "" {
			err = errors.New(text)
		}
		v.took(s, err, time.Now())
		if quit, err := v.show(ctx, out, keys); quit || err != nil {
			return err
		}
		if s, err = look(ctx, log); ctx.Err() != nil {
			return nil
		}
	}
}

// show has the picture on the screen until it is time for the next one, whatever becomes of the
// screen's size. It reports whether a key or ctx has ended the view.
func (v *view) show(ctx context.Context, out *os.File, keys *keyboard.Keyboard) (quit bool, err error) {
	width, height := 0, 0
	for end := time.Now().Add(watchEvery); ; {
		w, h, err := term.GetSize(int(out.Fd()))
		if err != nil || w <= 0 || h <= 0 {
			w, h = 100, 30
		}
		if w != width || h != height {
			width, height = w, h
			if err := v.draw(out, width, height); err != nil {
				return false, err
			}
		}
		left := time.Until(end)
		if left <= 0 {
			return ctx.Err() != nil, nil
		}
		if keys.Quit(ctx, min(left, watchLook)) {
			return true, nil
		}
	}
}

// notes keep what is written until it is taken; at most maxNotes bytes of it. They are safe for
// concurrent use.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
}

const maxNotes = 4096

// Write implements [io.Writer].
func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text.Write(p[:min(len(p), maxNotes-n.text.Len())])
	return len(p), nil
}

func (n *notes) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := n.text.String()
	n.text.Reset()
	return text
}
