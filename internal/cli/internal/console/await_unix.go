//go:build unix

package console

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// look is how soon the end of a context is noticed, in milliseconds.
const look = 50

// await returns when there is something to read: a read itself could not be taken back.
func await(ctx context.Context, in *os.File) error {
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}} //nolint:gosec // a descriptor is small
		n, err := unix.Poll(fds, look)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the terminal: %w", err)
		case n > 0:
			return nil
		}
	}
	return context.Cause(ctx)
}
