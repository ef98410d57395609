package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

const (
	linger   = 20 * time.Second // for answers that are still to come when the client's input ends
	maxCalls = 1024             // requests that wait for their answers; the next one waits to be sent
)

// New reaches the server of t, which has a URL and a transport over HTTP. Over SSE it opens
// the session, bounded by ctx and the handshake timeout; over streamable HTTP the client's first
// message does.
func New(ctx context.Context, t client.Target, o client.Options, in io.Reader, out io.Writer) (*Bridge, error) {
	o = o.WithDefaults()
	if err := t.Check(); err != nil {
		return nil, err
	}
	if t.Transport == mcp.Stdio || len(t.Command) > 0 {
		return nil, errors.New("a bridge leads to a URL")
	}
	endpoint, err := t.Endpoint("")
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for k, v := range t.Headers {
		header.Set(k, v)
	}
	b := &Bridge{in: in, out: out, o: o}
	if b.client, err = wire.NewHTTPClient(wire.HTTPOptions{Origin: endpoint, Header: header, TLS: t.TLS}); err != nil {
		return nil, err
	}
	if t.OAuth != nil {
		b.client.Transport = client.NewAuthTransport(b.client.Transport, t.OAuth, endpoint)
	}
	if t.Transport == mcp.Streamable {
		b.up = newStreamableUplink(b, endpoint)
		return b, nil
	}
	if b.up, err = newSSEUplink(ctx, b, endpoint); err != nil {
		b.client.CloseIdleConnections()
		return nil, err
	}
	return b, nil
}

// Run passes messages until the input ends, which is no error, after the answers that were still to
// come; until ctx ends, likewise; or until the session to the server does. A read of the input that
// is under way when it returns goes on.
func (b *Bridge) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, 1)
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var calls sync.WaitGroup
	go func() { ended <- b.read(ctx, work, &calls) }() // ends with the input, which is not ours to close
	var err error
	select {
	case err = <-ended:
		answered := make(chan struct{})
		go func() { calls.Wait(); b.up.settle(work); close(answered) }() // ends when work does at the latest
		timer := time.NewTimer(linger)
		defer timer.Stop()
		select {
		case <-answered:
		case <-timer.C:
		case <-b.up.done():
		case <-ctx.Done():
		}
	case <-b.up.done():
		err = b.up.err()
	case <-ctx.Done():
	}
	end, release := context.WithTimeout(context.WithoutCancel(ctx), codec.CloseTimeout)
	defer release()
	b.up.close(end)
	stop()
	b.client.CloseIdleConnections()
	return err
}

// read passes on what the client says. Requests run side by side, except the handshake, which
// others build upon; everything else keeps its order.
func (b *Bridge) read(ctx, work context.Context, calls *sync.WaitGroup) error {
	room := make(chan struct{}, maxCalls)
	for line, err := range wire.Lines(b.in, b.o.MaxFrame) {
		if err != nil {
			return fmt.Errorf("read from the client: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		msg := bytes.Clone(line)
		var env wire.Envelope
		plain := env.Scan(msg) // else it is a batch or something odd: the server will say
		if !plain || env.ID == nil || env.Method == nil || string(env.Method) == "initialize" {
			b.pass(work, msg, &env)
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		calls.Go(func() {
			defer func() { <-room }()
			b.pass(work, msg, &env)
		})
	}
	return nil
}

// pass sends one message. A request that gets no answer is answered here, or its client would wait
// for ever.
func (b *Bridge) pass(ctx context.Context, msg []byte, env *wire.Envelope) {
	if no := declined(env); no != nil {
		b.write(no)
		return
	}
	err := b.up.send(ctx, msg, env)
	if err == nil || ctx.Err() != nil {
		return
	}
	b.o.Logger.Error("a message did not reach the server", "method", string(env.Method), "error", codec.WithoutURL(err))
	if env.ID == nil || env.Method == nil {
		return
	}
	text, _ := json.Marshal("the bridge to the server: " + codec.WithoutURL(err).Error()) // a string always encodes
	b.write([]byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%s}}`, env.ID,
		jsonrpc.CodeInternalError, text)))
}
