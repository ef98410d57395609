package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
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

// notices passes on what the SDK sends on a connection, but for cancellations once keep is set, and
// for failures to notify the server that the handshake is over: they cost a warning. It is for
// transports whose POSTs [roundTripper] leaves alone.
type notices struct {
	sdk.Transport
	keep *atomic.Bool
	log  *slog.Logger
}

func (t *notices) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &noticesConn{c, t}, nil
}

type noticesConn struct {
	sdk.Connection
	t *notices
}

func (c *noticesConn) Write(ctx context.Context, msg jsonrpc.Message) error {
	req, _ := msg.(*jsonrpc.Request)
	if req != nil && req.Method == wire.MethodCancelled && c.t.keep.Load() {
		return nil
	}
	err := c.Connection.Write(ctx, msg)
	var status *wire.HTTPError
	if req != nil && req.Method == codec.MethodInitialized && errors.As(err, &status) && ctx.Err() == nil {
		warnInitialized(c.t.log, status.Status)
		return nil
	}
	return err
}

// warnInitialized says that a server refused to hear that the handshake is over. It is of no use
// without it if it waits for that, which the next request shows.
func warnInitialized(log *slog.Logger, status int) {
	log.Warn("the server refused a notification, which has no answer: it is asked all the same", "method",
		codec.MethodInitialized, "status", status)
}

// maxNotice is the size of a POST that may be a notification without much to say.
const maxNotice = 64 << 10

// posted is the method of the notification that r posts; empty: it is something else, or large. The
// body can still be read afterwards.
func posted(r *http.Request) string {
	if r.Method != http.MethodPost || r.GetBody == nil || r.ContentLength <= 0 || r.ContentLength > maxNotice {
		return ""
	}
	body, err := r.GetBody()
	if err != nil {
		return ""
	}
	msg, err := io.ReadAll(body)
	_ = body.Close() // it is in memory
	var env wire.Envelope
	if err != nil || !env.Scan(msg) || env.ID != nil {
		return ""
	}
	return string(env.Method)
}
