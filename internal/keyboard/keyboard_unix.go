//go:build unix

// Package keyboard reads the keys of a terminal one by one.
package keyboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// A Keyboard is a terminal in raw mode.
type Keyboard struct {
	in     *os.File // nil: there is no terminal, and there are no keys
	before *term.State
}

// Open has the keys of a terminal read one by one, until Close.
func Open(in io.Reader) (*Keyboard, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &Keyboard{}, nil
	}
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return &Keyboard{f, before}, nil
}

// Close gives the terminal back as it was.
func (k *Keyboard) Close() {
	if k.in != nil {
		_ = term.Restore(int(k.in.Fd()), k.before) // a terminal that is gone needs nothing
	}
}

// quits reports whether keys that were typed end the view: q, Ctrl-C, Ctrl-D, and Escape if nothing
// follows it, as in the sequences of other keys.
func quits(typed []byte) bool {
	return bytes.HasSuffix(typed, []byte{0x1b}) || bytes.ContainsAny(typed, "qQ\x03\x04")
}

// Quit waits, and returns earlier, with true, when a key or ctx ends the view. A read could not be
// taken back, so it looks whether there is something to read. The end of ctx is noticed after the
// wait.
func (k *Keyboard) Quit(ctx context.Context, wait time.Duration) bool {
	if k.in == nil {
		select {
		case <-ctx.Done():
			return true
		case <-time.After(wait):
			return false
		}
	}
	fds := []unix.PollFd{{Fd: int32(k.in.Fd()), Events: unix.POLLIN}} //nolint:gosec // a descriptor is small
	n, err := unix.Poll(fds, int(wait.Milliseconds())+1)
	if err != nil {
		return !errors.Is(err, unix.EINTR)
	}
	if n > 0 {
		typed := make([]byte, 64)
		if n, err := k.in.Read(typed); err != nil || quits(typed[:n]) {
			return true
		}
	}
	return ctx.Err() != nil
}
