package bridge

import (
	"context"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// sseUplink is a session over HTTP+SSE: answers come on its stream, whoever asked.
type sseUplink struct{ conn *wire.SSEClient }

func newSSEUplink(ctx context.Context, b *Bridge, endpoint string) (*sseUplink, error) {
	conn, err := wire.NewSSEClient(wire.SSEClientOptions{URL: endpoint, Client: b.client,
		ConnectTimeout: b.o.HandshakeTimeout, MaxFrame: b.o.MaxFrame, MaxBody: b.o.MaxBody,
		Logger: b.o.Logger})
	if err != nil {
		return nil, err
	}
	conn.SetHook(func(raw []byte, _ *wire.Envelope) bool { b.write(raw); return true })
	if _, err := conn.Connect(ctx); err != nil {
		return nil, fmt.Errorf("open the session: %w", codec.WithoutURL(err))
	}
	// what the hook is not offered: batches, and messages that are written unusually; ends with the
	// connection
	go func() {
		for {
			msg, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			if raw, err := jsonrpc.EncodeMessage(msg); err == nil {
				b.write(raw)
			}
		}
	}()
	return &sseUplink{conn}, nil
}

func (u *sseUplink) send(ctx context.Context, msg []byte, _ *wire.Envelope) error {
	return u.conn.WriteRaw(ctx, msg)
}

func (u *sseUplink) done() <-chan struct{} { return u.conn.Done() }
func (u *sseUplink) err() error            { return fmt.Errorf("the session ended: %w", u.conn.Err()) }
func (u *sseUplink) close(context.Context) { _ = u.conn.Close() } // the session is over either way
