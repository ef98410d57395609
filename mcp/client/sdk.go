package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// This file holds what works round the SDK. Each piece has a test in sdk_test.go that fails when an
// upgrade makes it needless.

type injectKey struct{}

// inject gives the SDK's session over streamable HTTP a message that came in a response it does not
// see. The only way into that session is an answer to a request of its own: a ping is answered in
// the server's place, with the message before the answer. See [injected].
func inject(ctx context.Context, cs *sdk.ClientSession, msg []byte) error {
	return cs.Ping(context.WithValue(ctx, injectKey{}, string(codec.AppendOneLine(nil, msg))), nil)
}

// injected answers the ping of [inject]; ok is false for any other request.
func injected(r *http.Request) (resp *http.Response, ok bool, err error) {
	message, ok := r.Context().Value(injectKey{}).(string)
	if !ok {
		return nil, false, nil
	}
	msg, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, true, err
	}
	var env wire.Envelope
	if !env.Scan(msg) || env.ID == nil {
		return nil, true, errors.New("inject a message: the carrier is not a request")
	}
	events := fmt.Sprintf("data: %s\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\n\n", message, env.ID)
	return madeUp(r, http.StatusOK, "text/event-stream", events), true, nil
}

// madeUp is a response that no server sent.
func madeUp(r *http.Request, status int, media, text string) *http.Response {
	h := http.Header{}
	if media != "" {
		h.Set("Content-Type", media)
	}
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r}
}

// passing makes a refusal one that the SDK takes for a passing failure of that one message: it ends
// the session, for everybody, at any other. Only a session that the server does not know any more
// has to end; one that answers so to a request it need not know may still know the session.
func passing(r *http.Request, resp *http.Response) {
	n, _ := r.Context().Value(noteKey{}).(*note)
	if n != nil && n.try || resp.StatusCode != http.StatusNotFound || r.Header.Get(codec.SessionHeader) == "" {
		resp.StatusCode, resp.Status = http.StatusServiceUnavailable, ""
	}
}

// streamPatience is how long the SDK waits for the headers of the stream that is optional. After it
// it gets headers that no server sent, and the stream later: some servers send them with the first
// event.
const streamPatience = time.Second

// isOptionalStream reports whether r asks for the stream of what the server says outside of calls.
// The SDK waits for the answer for ever, and when there is none tries again for half a minute, or
// ends the session; and it ends the session when that stream has ended a few times without an
// event. See [roundTripper.openStream].
func isOptionalStream(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get(codec.LastEventHeader) == ""
}

// noStream says that the server has no such stream.
func noStream(r *http.Request) *http.Response { return madeUp(r, http.StatusMethodNotAllowed, "", "") }

// versionRefused says how a handshake failed for want of a version of the protocol that both know;
// empty: it did not. The SDK's own error for it is not exported.
func versionRefused(err error) string {
	var rpc *jsonrpc.Error
	const own = "unsupported protocol version: "
	if errors.As(err, &rpc) {
		if rpc.Code == sdk.CodeUnsupportedProtocolVersion || strings.Contains(strings.ToLower(rpc.Message),
			"protocol version") {
			return fmt.Sprintf("it refused protocol version %s: %s", codec.Version20251125, rpc.Message)
		}
	} else if at := strings.Index(fmt.Sprint(err), own); at >= 0 {
		if version := err.Error()[at+len(own):]; version != `""` {
			return fmt.Sprintf("it chose protocol version %s, which openmas does not know", version)
		}
		return "its answer to initialize names no protocol version (protocolVersion)"
	}
	return ""
}

// isLocal reports whether err holds a JSON-RPC error that no server sent: the mark that the SDK and
// the connections of package wire put on a message that failed by itself, and the SDK's on one for
// which the connection had ended. The SDK exports neither.
func isLocal(err error) bool {
	var rpc *jsonrpc.Error
	return errors.As(err, &rpc) && (rpc.Code == -32005 && rpc.Message == "rejected by transport" ||
		rpc.Code == -32003 && rpc.Message == "client is closing")
}

// abortable ends the connection when ctx ends: the SDK's handshake leaves the connection's own
// waits alone, such as for a child that reads nothing, or a GET that gets no answer. done reports
// whether ctx had not ended.
func abortable(ctx context.Context, abort func()) (done func() bool) {
	return context.AfterFunc(ctx, abort)
}

// flushCancellations returns when the server has been told of calls that were given up. The SDK
// tells it from goroutines of its own, and drops what is not on its way when it closes; the server
// then answers when those calls have ended by themselves, or never. A round trip later they are on
// their way.
func flushCancellations(ctx context.Context, cs *sdk.ClientSession) {
	_ = cs.Ping(ctx, nil) // the connection is closed next, whatever the answer
}

// withoutMethod cuts off the method that the SDK puts before the failure of a request. Errors of
// ours name its target.
func withoutMethod(err error) error {
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), `calling "`) {
		return inner
	}
	return err
}

// leftBy gives a message to the hook, and returns what that leaves for the SDK; nil: nothing.
func leftBy(hook wire.Hook, raw []byte, env *wire.Envelope) []byte {
	method, params := env.Method, env.Params
	switch {
	case hook(raw, env):
		return nil
	case method != nil && env.Method == nil: // it became an answer
		id, _ := env.AnswerID()
		raw, _ = jsonrpc.EncodeMessage(env.Response(id, nil)) // never fails
	case !bytes.Equal(params, env.Params):
		return env.Encode()
	}
	return raw
}

// callID is the id of the call that a POST of the SDK's makes; ok is false for other messages.
func callID(r *http.Request) (id int64, ok bool) {
	if r.GetBody == nil {
		return 0, false
	}
	body, err := r.GetBody()
	if err != nil {
		return 0, false
	}
	msg, err := io.ReadAll(body) // it is in memory, and has nothing to close
	var env wire.Envelope
	if err != nil || !env.Scan(msg) || env.Method == nil {
		return 0, false
	}
	return (&wire.Envelope{ID: env.ID}).AnswerID()
}

// A filteredStream keeps from the SDK what comes on a stream of events and is no message: it would
// end the session, for everybody, at one that it does not understand. The session's hook gets each
// message first, as on other connections.
type filteredStream struct {
	io.Closer
	hook wire.Hook
	log  *slog.Logger
	in   *wire.EventReader
	out  bytes.Buffer
	seen string // the id that the SDK knows
	said bool   // a message came
	err  error
}

// Read implements [io.Reader].
func (f *filteredStream) Read(p []byte) (int, error) {
	for f.out.Len() == 0 {
		if f.err != nil {
			return 0, f.err
		}
		f.next()
	}
	return f.out.Read(p)
}

// next reads one event. The SDK goes on from the last id when the stream breaks, after the time
// that the server wants.
func (f *filteredStream) next() {
	f.event()
	if id := f.in.LastID; id != f.seen {
		f.seen = id
		_, _ = fmt.Fprintf(&f.out, "id: %s\n\n", id) // never fails, as below
	}
	if f.in.Retry > 0 {
		_, _ = fmt.Fprintf(&f.out, "retry: %d\n\n", f.in.Retry.Milliseconds())
		f.in.Retry = 0
	}
}

// event reads one event, without its id.
func (f *filteredStream) event() {
	name, data, err := f.in.Next()
	if large := (*wire.TooLargeError)(nil); errors.As(err, &large) {
		f.log.Warn("passed over a message that is larger than the limit", "bytes", large.Size, "limit", large.Limit)
		data, err = nil, nil
	}
	f.err = err
	if data = bytes.TrimSpace(data); err != nil || len(data) == 0 || !wire.IsMessage(name, data) {
		return
	}
	wire.Messages(data, func(raw []byte, env *wire.Envelope) {
		f.said = true
		if left := leftBy(f.hook, raw, env); left != nil {
			_, _ = fmt.Fprintf(&f.out, "data: %s\n\n", codec.AppendOneLine(nil, left))
		}
	}, func(raw []byte, why error) {
		f.log.Warn("skipped an event that is not an MCP message", "data", string(raw[:min(len(raw), 200)]), "reason",
			why)
	})
}
