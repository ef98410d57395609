package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// errClosed is why a session ended that the bridge closed.
var errClosed = errors.New("the session was closed")

// A Bridge lets a client that speaks stdio use a server that is reached by URL. Messages pass as
// they are, in both directions: what the two agree upon, their version of the protocol included, is
// theirs, among those with a handshake. Where a server numbers its events, a stream that breaks
// goes on.
type Bridge struct {
	in     io.Reader
	o      client.Options
	up     uplink
	client *http.Client

	mu  sync.Mutex // held while a message is written
	out io.Writer
}

// An uplink is the bridge's way to the server.
type uplink interface {
	// send passes a message on. For a request it returns when its answer is written or will come
	// by itself, or an error when there will be none.
	send(ctx context.Context, msg []byte, env *wire.Envelope) error
	// settle waits for the answers that come by themselves, until ctx or the session ends.
	settle(ctx context.Context)
	// done is closed when the session is over, and err then says why.
	done() <-chan struct{}
	err() error
	// close ends the session. Requests in flight are not waited for.
	close(ctx context.Context)
}

// write gives the client one message, on one line.
func (b *Bridge) write(msg []byte) {
	line := bytes.NewBuffer(make([]byte, 0, len(msg)+1))
	if bytes.ContainsAny(msg, "\r\n") {
		if err := json.Compact(line, msg); err != nil {
			b.o.Logger.Error("the server sent what is no JSON", "error", err)
			return
		}
	} else {
		line.Write(msg)
	}
	line.WriteByte('\n')
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.out.Write(line.Bytes()); err != nil {
		b.o.Logger.Error("the client does not take a message", "error", err)
	}
}
