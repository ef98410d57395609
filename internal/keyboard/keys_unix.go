//go:build unix

package keyboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Keys is a terminal whose keys are read one by one while a program writes lines to it: what is
// typed is not shown, and Ctrl-C and Ctrl-Z do what they always do.
type Keys struct {
	in      *os.File
	before  *unix.Termios
	resumed chan os.Signal

	once sync.Once
}

// look is how soon the end of a context is noticed.
const look = 100 * time.Millisecond

// OpenKeys has the keys of a terminal read one by one, until Close. It is nil where in is no
// terminal, or that of another job: a program in the background has no keys.
func OpenKeys(in io.Reader) (*Keys, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, nil
	}
	if group, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP); err == nil && group != unix.Getpgrp() {
		return nil, nil
	}
	before, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	k := &Keys{in: f, before: before, resumed: make(chan os.Signal, 1)}
	signal.Notify(k.resumed, syscall.SIGCONT) // the shell has had the terminal in between
	return k, k.set()
}

// set has each key come as it is typed, without being shown.
func (k *Keys) set() error {
	now := *k.before
	now.Lflag &^= unix.ICANON | unix.ECHO
	now.Cc[unix.VMIN], now.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(k.in.Fd()), setTermios, &now); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	return nil
}

// Close gives the terminal back as it was.
func (k *Keys) Close() {
	k.once.Do(func() {
		signal.Stop(k.resumed)
		_ = unix.IoctlSetTermios(int(k.in.Fd()), setTermios, k.before) // a terminal that is gone needs nothing
	})
}

// Read waits for what is typed. The error is the end of ctx or of the terminal.
func (k *Keys) Read(ctx context.Context) ([]byte, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-k.resumed:
			if err := k.set(); err != nil {
				return nil, err
			}
		default:
		}
		fds := []unix.PollFd{{Fd: int32(k.in.Fd()), Events: unix.POLLIN}} //nolint:gosec // a descriptor is small
		n, err := unix.Poll(fds, int(look.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR) || err == nil && n == 0:
			continue
		case err != nil:
			return nil, fmt.Errorf("read keys: %w", err)
		}
		typed := make([]byte, 64)
		if n, err = k.in.Read(typed); err != nil {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		return typed[:n], nil
	}
}
