package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// maxOpen bounds the requests whose answers the end of a session waits for.
const maxOpen = 1000

// sseUplink is a session over HTTP+SSE: answers come on its stream, whoever asked.
type sseUplink struct {
	conn *wire.SSEClient

	mu      sync.Mutex
	open    map[string]bool // ids of requests without an answer yet, at most maxOpen
	changed chan struct{}   // closed when open becomes smaller
}

func newSSEUplink(ctx context.Context, b *Bridge, endpoint string) (*sseUplink, error) {
	conn, err := wire.NewSSEClient(wire.SSEClientOptions{URL: endpoint, Client: b.client,
		ConnectTimeout: b.o.HandshakeTimeout, MaxFrame: b.o.MaxFrame, MaxBody: b.o.MaxBody,
		Logger: b.o.Logger})
	if err != nil {
		return nil, err
	}
	u := &sseUplink{conn: conn, open: map[string]bool{}, changed: make(chan struct{})}
	conn.SetHook(func(raw []byte, env *wire.Envelope) bool {
		b.write(raw)
		if env.Method == nil {
			u.over(env.ID)
		}
		return true
	})
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
			if answer, ok := msg.(*jsonrpc.Response); ok {
				id, _ := json.Marshal(answer.ID.Raw()) // a number or a string
				u.over(id)
			}
		}
	}()
	return u, nil
}

func (u *sseUplink) send(ctx context.Context, msg []byte, env *wire.Envelope) error {
	request := env.ID != nil && env.Method != nil
	if request {
		u.mu.Lock()
		if len(u.open) < maxOpen {
			u.open[string(env.ID)] = true
		}
		u.mu.Unlock()
	}
	err := u.conn.WriteRaw(ctx, msg)
	switch {
	case request && err != nil:
		u.over(env.ID)
	case string(env.Method) == "notifications/cancelled":
		var p struct {
			RequestID json.RawMessage `json:"requestId"`
		}
		if json.Unmarshal(env.Params, &p) == nil {
			u.over(p.RequestID)
		}
	}
	return err
}

// over notes that a request has its answer, or gets none.
func (u *sseUplink) over(id []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open[string(id)] {
		delete(u.open, string(id))
		close(u.changed)
		u.changed = make(chan struct{})
	}
}

func (u *sseUplink) settle(ctx context.Context) {
	for {
		u.mu.Lock()
		n, changed := len(u.open), u.changed
		u.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-changed:
		case <-u.conn.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

func (u *sseUplink) done() <-chan struct{} { return u.conn.Done() }
func (u *sseUplink) err() error            { return fmt.Errorf("the session ended: %w", u.conn.Err()) }
func (u *sseUplink) close(context.Context) { _ = u.conn.Close() } // the session is over either way
