package keyboard

import (
	"context"
	"io"
	"time"
)

// A Keyboard has no keys here: Ctrl-C ends the view.
type Keyboard struct{}

// Open has nothing to do.
func Open(io.Reader) (*Keyboard, error) { return &Keyboard{}, nil }

// Close has nothing to do.
func (*Keyboard) Close() {}

// Quit waits, and returns earlier, with true, when ctx ends.
func (*Keyboard) Quit(ctx context.Context, wait time.Duration) bool {
	select {
	case <-ctx.Done():
		return true
	case <-time.After(wait):
		return false
	}
}
