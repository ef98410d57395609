package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/internal/testkit/fixture"
	"github.com/openmas/openmas/mcp/internal/codec"
	"github.com/openmas/openmas/mcp/internal/wire"
)

// These tests hold the SDK alone against what sdk.go works round. One that fails after an upgrade
// reports that its piece of sdk.go is needless, or has to change.

// bareSDK connects the SDK's client over streamable HTTP, by rt.
func bareSDK(t *testing.T, h http.HandlerFunc, rt http.RoundTripper, o *sdk.ClientOptions) *sdk.ClientSession {
	t.Helper()
	srv := httptest.NewServer(scripted(t, h))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	if rt == nil {
		rt = &http.Transport{}
		t.Cleanup(rt.(*http.Transport).CloseIdleConnections)
	}
	cs, err := fixture.ConnectSDK(t, &sdk.StreamableClientTransport{Endpoint: srv.URL, MaxRetries: -1,
		HTTPClient: &http.Client{Transport: rt}}, codec.Version20251125, o)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// scripted is a server that knows the handshake; h answers calls of tools and everything else.
func scripted(t *testing.T, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var env wire.Envelope
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		switch {
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case !env.Scan(body) || string(env.Method) != "initialize":
			h(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{},`+
				`"serverInfo":{"name":"s","version":"1"}}}`, env.ID)
		}
	})
}

// idOf is the id of a request; empty: it is a notification.
func idOf(r *http.Request) (id string, method string) {
	body, _ := io.ReadAll(r.Body) // in memory
	var env wire.Envelope
	env.Scan(body)
	return string(env.ID), string(env.Method)
}

// inject: nothing else takes a message into a session over streamable HTTP.
func TestSDKHasNoOtherWayIn(t *testing.T) {
	var methods []string
	for m := range reflect.TypeFor[*sdk.ClientSession]().Methods() {
		methods = append(methods, m.Name)
	}
	known := []string{"CallTool", "Close", "Complete", "GetPrompt", "ID", "InitializeResult", "ListPrompts",
		"ListResourceTemplates", "ListResources", "ListTools", "NotifyProgress", "Ping", "Prompts", "ReadResource",
		"ResourceTemplates", "Resources", "SetLoggingLevel", "Subscribe", "Tools", "Unsubscribe", "Wait"}
	for _, m := range methods {
		if !slices.Contains(known, m) {
			t.Errorf("ClientSession.%s is new: does it take messages? inject may be needless", m)
		}
	}
}

// flushNotices: a call may return before the notifications that came ahead of its answer were
// handled.
func TestSDKHandlesNotificationsLate(t *testing.T) {
	release, handled := make(chan struct{}), make(chan struct{})
	cs := bareSDK(t, func(w http.ResponseWriter, r *http.Request) {
		id, _ := idOf(r)
		if id == "" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "data: %s\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"content\":[]}}\n\n",
			`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}`, id)
	}, nil, &sdk.ClientOptions{ProgressNotificationHandler: func(context.Context,
		*sdk.ProgressNotificationClientRequest) {
		<-release
		close(handled)
	}})
	ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
	defer cancel()
	_, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "any"})
	close(release)
	if err != nil {
		t.Errorf("the call waits for the handlers of what came before its answer (%v): flushNotices is needless", err)
	}
	fixture.Receive(t, "the notification", handled)
}

// passing: the refusal of one message ends the session.
func TestSDKEndsSessionsAtARefusal(t *testing.T) {
	calls := 0
	cs := bareSDK(t, func(w http.ResponseWriter, r *http.Request) {
		id, method := idOf(r)
		switch {
		case id == "":
			w.WriteHeader(http.StatusAccepted)
		case method == codec.MethodCall && calls == 0:
			calls++
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`, id)
		}
	}, nil, nil)
	if _, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "any"}); err == nil {
		t.Fatal("the call was not refused")
	}
	if _, err := cs.CallTool(t.Context(), &sdk.CallToolParams{Name: "any"}); err == nil {
		t.Error("the session goes on after a refusal: passing is needless")
	}
}

// isOptionalStream: the handshake waits for the answer to the GET.
func TestSDKWaitsForTheStream(t *testing.T) {
	asked, release := make(chan bool, 1), make(chan struct{})
	inner := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			inner.ServeHTTP(w, r)
			return
		}
		asked <- true
		<-release
	}))
	defer srv.Close()
	connected := make(chan error, 1)
	go func() {
		cs, err := sdk.NewClient(&sdk.Implementation{Name: "bare"}, nil).Connect(context.Background(),
			&sdk.StreamableClientTransport{Endpoint: srv.URL, MaxRetries: -1},
			&sdk.ClientSessionOptions{ProtocolVersion: codec.Version20251125})
		connected <- err
		if err == nil {
			_ = cs.Close()
		}
	}()
	fixture.Receive(t, "the GET", asked)
	select {
	case err := <-connected:
		t.Errorf("the handshake ends although the stream has no answer (%v): isOptionalStream is needless", err)
	case <-time.After(200 * time.Millisecond):
	}
	close(release)
	fixture.Receive(t, "the handshake", connected)
}

// rejecting is a connection whose writes fail by themselves.
type rejecting struct{ sdk.Connection }

func (rejecting) Write(context.Context, jsonrpc.Message) error {
	return &wire.NotSentError{Cause: errors.New("full")}
}

func (rejecting) Connect(context.Context) (sdk.Connection, error) { return nil, nil }

type rejectingTransport struct{ sdk.Transport }

func (t rejectingTransport) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	return rejecting{c}, err
}

// isLocal: the mark of a message that failed by itself is what the SDK keeps of it.
func TestSDKMarksWhatFailsByItself(t *testing.T) {
	near, far := sdk.NewInMemoryTransports()
	server := sdk.NewServer(&sdk.Implementation{Name: "s"}, nil)
	ss, err := server.Connect(t.Context(), far, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ss.Close()
	_, err = sdk.NewClient(&sdk.Implementation{Name: "bare"}, nil).Connect(t.Context(), rejectingTransport{near},
		&sdk.ClientSessionOptions{ProtocolVersion: codec.Version20251125})
	if err == nil || !isLocal(err) {
		t.Errorf("%v is not known for a message that failed by itself", err)
	}
}

// blocked is a connection that does not write, and does not heed its context.
type blocked struct {
	sdk.Connection
	closed chan struct{}
}

func (b *blocked) Write(context.Context, jsonrpc.Message) error { <-b.closed; return io.ErrClosedPipe }

type blockedTransport struct {
	sdk.Transport
	closed chan struct{}
}

func (t blockedTransport) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	return &blocked{c, t.closed}, err
}

// abortable: the end of ctx does not end a handshake whose connection waits.
func TestSDKHandshakeOutlivesItsContext(t *testing.T) {
	near, far := sdk.NewInMemoryTransports()
	ss, err := sdk.NewServer(&sdk.Implementation{Name: "s"}, nil).Connect(t.Context(), far, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ss.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	closed, connected := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := sdk.NewClient(&sdk.Implementation{Name: "bare"}, nil).Connect(ctx, blockedTransport{near, closed},
			&sdk.ClientSessionOptions{ProtocolVersion: codec.Version20251125})
		connected <- err
	}()
	select {
	case err := <-connected:
		t.Errorf("the handshake ends with its context (%v): abortable is needless", err)
	case <-time.After(200 * time.Millisecond):
	}
	close(closed)
	fixture.Receive(t, "the handshake", connected)
}

// flushCancellations: Close drops cancellations that are not on their way. In one session of many
// it may be too late for that.
func TestSDKDropsCancellations(t *testing.T) {
	const sessions = 50
	began, cancelled := make(chan bool, 1), make(chan bool, sessions)
	for range sessions {
		cs := bareSDK(t, func(w http.ResponseWriter, r *http.Request) {
			switch _, method := idOf(r); method {
			case codec.MethodCall:
				began <- true
				<-r.Context().Done()
			case wire.MethodCancelled:
				cancelled <- true
				w.WriteHeader(http.StatusAccepted)
			default:
				w.WriteHeader(http.StatusAccepted)
			}
		}, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := cs.CallTool(ctx, &sdk.CallToolParams{Name: "any"}); done <- err }()
		fixture.Receive(t, "the call", began)
		cancel()
		fixture.Receive(t, "the call's end", done)
		_ = cs.Close() // it is the server's answer to DELETE
	}
	if n := len(cancelled); n == sessions {
		t.Errorf("%d of %d servers were told: flushCancellations is needless", n, sessions)
	}
}
