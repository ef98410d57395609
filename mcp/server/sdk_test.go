package server

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/server/internal/catalog"
)

// These tests hold the SDK alone against what sdk.go works round. One that fails after an upgrade
// reports that its piece of sdk.go is needless, or has to change.

type requestKey struct{}

// requestHeader: the context of a POST does not reach the handlers.
func TestSDKLosesTheRequestsContext(t *testing.T) {
	s := sdk.NewServer(&sdk.Implementation{Name: "s"}, nil)
	seen := make(chan any, 1)
	sdk.AddTool(s, &sdk.Tool{Name: "t"},
		func(ctx context.Context, _ *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult,
			any, error) {
			seen <- ctx.Value(requestKey{})
			return nil, nil, nil
		})
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, nil)
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, n)))
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	cs, err := fixture.ConnectSDK(t, &sdk.StreamableClientTransport{Endpoint: srv.URL, MaxRetries: -1,
		DisableStandaloneSSE: true}, codec.Version20251125, nil)
	if err != nil {
		t.Fatal(err)
	}
	fixture.CallTool(t, cs, "t", nil)
	if got := fixture.Receive(t, "the call", seen); got == n {
		t.Error("handlers have the context of their request: requestHeader is needless")
	}
	fields := reflect.TypeFor[sdk.RequestExtra]()
	for i := range fields.NumField() {
		switch name := fields.Field(i).Name; name {
		case "TokenInfo", "Header", "CloseSSEStream":
		default:
			t.Errorf("RequestExtra.%s is new: requestHeader may be needless", name)
		}
	}
}

// setFirstLevel: no log message is sent before the client has asked for some.
func TestSDKSendsNoLogsUnasked(t *testing.T) {
	s := sdk.NewServer(&sdk.Implementation{Name: "s"}, &sdk.ServerOptions{
		Capabilities: &sdk.ServerCapabilities{Logging: &sdk.LoggingCapabilities{}}})
	sdk.AddTool(s, &sdk.Tool{Name: "t"},
		func(ctx context.Context, r *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult,
			any, error) {
			return nil, nil, r.Session.Log(ctx, &sdk.LoggingMessageParams{Level: "error", Data: "x"})
		})
	logged := make(chan bool, 10)
	near, far := sdk.NewInMemoryTransports()
	ss, err := s.Connect(t.Context(), far, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ss.Close()
	cs, err := fixture.ConnectSDK(t, near, codec.Version20251125, &sdk.ClientOptions{
		LoggingMessageHandler: func(context.Context, *sdk.LoggingMessageRequest) { logged <- true }})
	if err != nil {
		t.Fatal(err)
	}
	fixture.CallTool(t, cs, "t", nil)
	fixture.CallTool(t, cs, "t", nil) // what the first one sent has been handled
	if len(logged) > 0 {
		t.Error("log messages come unasked: setFirstLevel is needless")
	}
}

// addOrWarn: what cannot be listed panics.
func TestSDKPanicsAtWhatItCannotList(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("AddTool does not panic: addOrWarn is needless")
		}
	}()
	sdk.NewServer(&sdk.Implementation{Name: "s"}, nil).AddTool(&sdk.Tool{Name: "t",
		InputSchema: json.RawMessage(`{"type":"array"}`)}, nil)
}

// sdkLog: the SDK logs each session at level info.
func TestSDKLogsSessions(t *testing.T) {
	var log bytes.Buffer
	s := sdk.NewServer(&sdk.Implementation{Name: "s"},
		&sdk.ServerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	near, far := sdk.NewInMemoryTransports()
	ss, err := s.Connect(t.Context(), far, nil)
	if err != nil {
		t.Fatal(err)
	}
	cs, err := fixture.ConnectSDK(t, near, codec.Version20251125, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = cs.Close()
	_ = ss.Wait()
	if !strings.Contains(log.String(), "level=INFO") {
		t.Errorf("%q: sdkLog is needless", log.String())
	}
}

// heard passes on what is logged, and then the message.
type heard struct {
	slog.Handler
	messages chan string
}

func (h heard) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.messages <- r.Message
	}
	return err
}

// sdkLog: the SDK warns of each change of a list where a client over HTTP has no stream open.
func TestSDKWarnsOfNoticesWithoutAStream(t *testing.T) {
	var b bytes.Buffer
	log := heard{sdkLog(slog.New(slog.NewTextHandler(&b, nil))).Handler(), make(chan string, 10)}
	s := sdk.NewServer(&sdk.Implementation{Name: "s"}, &sdk.ServerOptions{Logger: slog.New(log),
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{ListChanged: true}}})
	h := httptest.NewServer(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, nil))
	defer h.Close()
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "c", Version: "1"}, nil).Connect(t.Context(),
		&sdk.StreamableClientTransport{Endpoint: h.URL, DisableStandaloneSSE: true},
		&sdk.ClientSessionOptions{ProtocolVersion: codec.Version20251125})
	if err != nil {
		t.Fatal(err)
	}
	announce(s, catalog.Tools)
	said := fixture.Receive(t, "a warning of the SDK", log.messages)
	if !strings.HasPrefix(said, "calling notifications/") {
		t.Errorf("it warns of %s", said)
	}
	if err := cs.Close(); err != nil || b.Len() > 0 {
		t.Errorf("%v; logged: %s", err, b.String())
	}
}

// aboutClient: what a request contains about its client is not exported for a bare `_meta`.
func TestSDKReadsMetaOfRequestsOnly(t *testing.T) {
	info, caps := aboutClient(sdk.Meta{sdk.MetaKeyClientInfo: map[string]any{"name": "n", "version": "1"},
		sdk.MetaKeyClientCapabilities: map[string]any{"sampling": map[string]any{}}})
	if info == nil || info.Name != "n" || caps == nil || caps.Sampling == nil {
		t.Errorf("%+v, %+v", info, caps)
	}
	for m := range reflect.TypeFor[sdk.Meta]().Methods() {
		if m.Name != "GetMeta" && m.Name != "SetMeta" {
			t.Errorf("Meta.%s is new: aboutClient may be needless", m.Name)
		}
	}
}

// negotiateHandshake: the SDK looks at the version that a client asked for, not at the one it gave.
func TestSDKAsksNothingOfClientsThatWantedMore(t *testing.T) {
	s := sdk.NewServer(&sdk.Implementation{Name: "s"}, nil)
	near, far := sdk.NewInMemoryTransports()
	ss, err := s.Connect(t.Context(), far, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ss.Close() }()
	conn, err := near.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	id, _ := jsonrpc.MakeID("1")
	if err := conn.Write(t.Context(), &jsonrpc.Request{ID: id, Method: methodInitialize, Params: json.RawMessage(
		`{"protocolVersion":"2026-07-28","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := ss.ListRoots(ctx, nil); err == nil || ctx.Err() != nil {
		t.Errorf("%v: it asks: negotiateHandshake is needless", err)
	}
}
