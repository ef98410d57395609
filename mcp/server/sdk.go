package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/logs"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/schema"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
)

// This file holds what works round the SDK. Each piece has a test in sdk_test.go that fails when an
// upgrade makes it needless.

// sdkLog is the log of the SDK, which reports each session at level info, and warns of each notice
// to a client over HTTP that has no stream open for notices. It need not have one.
func sdkLog(log *slog.Logger) *slog.Logger {
	return slog.New(logs.Quieter(log.Handler(), logs.LevelTrace, "calling notifications/"))
}

// beginStream begins a response on which there is nothing to say yet, so that the client knows that
// it was received. The SDK does so with a session's own stream only.
func beginStream(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache, no-transform")
	_, err := io.WriteString(w, ": ok\n\n")
	if err == nil {
		_ = http.NewResponseController(w).Flush() // a client that is gone again is noticed by the SDK
	}
}

// requestHeader leads from a handler of the SDK back to the POST that it works for: the SDK passes
// on headers, not contexts. It never comes from outside.
const requestHeader = "Openmas-Request"

// postIndex finds POSTs by their requestHeader. Its user locks.
type postIndex struct {
	byID map[string]*http.Request
	last int
}

// add marks r, which it changes, and returns its key in byID.
func (p *postIndex) add(r *http.Request) string {
	if p.byID == nil {
		p.byID = map[string]*http.Request{}
	}
	p.last++
	id := strconv.Itoa(p.last)
	p.byID[id] = r
	r.Header = r.Header.Clone()
	r.Header.Set(requestHeader, id)
	return id
}

// contextOf is the context of the POST that a request of the SDK came with; nil if there is none.
func (p *postIndex) contextOf(extra *sdk.RequestExtra) context.Context {
	if extra == nil {
		return nil
	}
	if r := p.byID[extra.Header.Get(requestHeader)]; r != nil {
		return r.Context()
	}
	return nil
}

// negotiateHandshake makes the SDK take a client that begins with a handshake for one of an era
// that has it. It answers in that era whatever the client asked for, but looks at what was asked
// for when it has something to ask or to tell: clients that asked for a later version got nothing.
func negotiateHandshake(p *sdk.InitializeParams) {
	if p != nil && p.ProtocolVersion > codec.Version20251125 {
		p.ProtocolVersion = codec.Version20251125
	}
}

// setFirstLevel makes the SDK send log messages from level info on before the client asks for any:
// it sends none until then.
func setFirstLevel(ctx context.Context, next sdk.MethodHandler, ss *sdk.ServerSession) error {
	_, err := next(ctx, "logging/setLevel", &sdk.ServerRequest[*sdk.SetLoggingLevelParams]{Session: ss,
		Params: &sdk.SetLoggingLevelParams{Level: "info"}})
	return err
}

// announce makes the SDK tell the clients that a list has changed. It does when its own lists do,
// which nobody sees.
func announce(s *sdk.Server, list string) {
	const name = "openmas.changed"
	switch list {
	case catalog.Tools:
		s.AddTool(&sdk.Tool{Name: name, InputSchema: schema.Any}, nil)
		s.RemoveTools(name)
	case catalog.Prompts:
		s.AddPrompt(&sdk.Prompt{Name: name}, nil)
		s.RemovePrompts(name)
	default: // one notification is for both
		s.AddResource(&sdk.Resource{URI: "openmas:changed", Name: name}, nil)
		s.RemoveResources("openmas:changed")
	}
}

// addOrWarn adds a tool to those whose headers the SDK checks. The SDK panics at what it does not
// like, and foreign servers describe all sorts of things.
func addOrWarn(log *slog.Logger, kind, name string, add func()) {
	defer func() {
		if p := recover(); p != nil {
			log.Warn("clients of protocol 2026-07-28 may leave out a "+kind, "name", name, "reason", fmt.Sprint(p))
		}
	}()
	add()
}

// aboutClient is what the `_meta` of a request of protocol 2026-07-28 says about its client. The
// SDK decodes it for requests of its own only.
func aboutClient(meta sdk.Meta) (*sdk.Implementation, *sdk.ClientCapabilities) {
	r := sdk.ServerRequest[*sdk.PingParams]{Params: &sdk.PingParams{Meta: meta}}
	return r.ClientInfo(), r.ClientCapabilities()
}

// malformed begins what the SDK's handler of streamable HTTP says of a body that is no message.
const malformed = "malformed payload"

// refusedCode is the JSON-RPC code of what the SDK's handler of streamable HTTP says of a message
// in plain text, where its other connections answer; 0: it says something else.
func refusedCode(text string) int64 {
	switch {
	case strings.HasPrefix(text, "JSON RPC not handled"):
		return jsonrpc.CodeMethodNotFound
	case strings.HasPrefix(text, "invalid request: "):
		return jsonrpc.CodeInvalidRequest
	}
	return 0
}
