package client

import (
	"context"
	"errors"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// A fastSender carries calls of the fast path to the server, under ids that the caller chose.
type fastSender interface {
	// call sends the request id, a call of the tool name, and waits for its answer; msg is valid
	// until then. What the session's hook gets for the request comes on answer. An error says why
	// there is no answer.
	call(ctx context.Context, id codec.FastID, answer <-chan codec.Response, name string, msg []byte) (codec.Response,
		error)
	// cancel tells the server that the answer to a call that was sent, and whose ctx has ended, is
	// not waited for. It may be lost.
	cancel(ctx context.Context, id codec.FastID)
}

// errNotTaken: the message was not taken, and only the SDK knows what to do next.
var errNotTaken = errors.New("the server is elsewhere")

// connSender carries calls over a connection whose messages the session's hook sees.
type connSender struct {
	conn  wire.Conn
	after *background // nil: a cancellation is queued without waiting
}

func (c *connSender) call(ctx context.Context, _ codec.FastID, answer <-chan codec.Response, _ string,
	msg []byte) (codec.Response, error) {
	err := c.conn.WriteRaw(ctx, msg)
	if err == nil {
		select {
		case r := <-answer:
			return r, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-c.conn.Done():
			err = c.conn.Err()
		}
	}
	select { // an answer counts, whatever else has happened
	case r := <-answer:
		return r, nil
	default:
		return codec.Response{}, err
	}
}

func (c *connSender) cancel(ctx context.Context, id codec.FastID) {
	msg := cancellation(id)
	if c.after == nil {
		_ = c.conn.WriteRaw(ctx, msg) // ctx has ended: it is queued if there is room
		return
	}
	c.after.run(func(ctx context.Context) { _ = c.conn.WriteRaw(ctx, msg) }) // it may be lost
}

func cancellation(id codec.FastID) []byte {
	msg := id.Append([]byte(`{"jsonrpc":"2.0","method":"` + codec.MethodCancelled + `","params":{"requestId":`))
	return append(msg, `,"reason":"the caller gave up"}}`...)
}
