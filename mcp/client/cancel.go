package client

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/wire"
)

// crashesOnCancel reports whether the server is better not told that a call was given up: one of
// the Python SDK 1.x. Before 1.27 a cancellation ends the whole session there, and over stdio the
// program, with every other call on it; later ones can still lose that race. The SDK is known by
// the empty "experimental" among its capabilities, which its 2.x does not send; nor do its own
// clients ever send a cancellation, so that its tools are used to run to their end.
func crashesOnCancel(hello *sdk.InitializeResult) bool {
	return hello != nil && hello.Capabilities != nil && hello.Capabilities.Experimental != nil &&
		len(hello.Capabilities.Experimental) == 0
}

// cancelFilter keeps cancellations from the server once spare is set. It is for transports other
// than HTTP, see [roundTripper].
type cancelFilter struct {
	sdk.Transport
	keep *atomic.Bool
}

func (t *cancelFilter) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &cancelFilterConn{c, t.keep}, nil
}

type cancelFilterConn struct {
	sdk.Connection
	keep *atomic.Bool
}

func (c *cancelFilterConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	if req, ok := msg.(*jsonrpc.Request); ok && req.Method == wire.MethodCancelled && c.keep.Load() {
		return nil
	}
	return c.Connection.Write(ctx, msg)
}

// maxCancellation is the size of a POST that may be a cancellation.
const maxCancellation = 64 << 10

// isCancellation reports whether r posts one. The body can still be read afterwards.
func isCancellation(r *http.Request) bool {
	if r.Method != http.MethodPost || r.GetBody == nil || r.ContentLength <= 0 || r.ContentLength > maxCancellation {
		return false
	}
	body, err := r.GetBody()
	if err != nil {
		return false
	}
	msg, err := io.ReadAll(body)
	_ = body.Close() // it is in memory
	var env wire.Envelope
	return err == nil && env.Scan(msg) && string(env.Method) == wire.MethodCancelled
}
