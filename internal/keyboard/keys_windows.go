package keyboard

import (
	"context"
	"io"
)

// Keys is not there on Windows: Ctrl-C ends what runs.
type Keys struct{}

// OpenKeys returns nil: there are no keys.
func OpenKeys(io.Reader) (*Keys, error) { return nil, nil }

// Close has nothing to do.
func (*Keys) Close() {}

// Read waits for the end of ctx.
func (*Keys) Read(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
