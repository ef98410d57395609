package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/openmas/openmas/agent"
)

func env(vars map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
}

func TestSetupFindsTheEndpoint(t *testing.T) {
	const base, traces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	for _, c := range []struct {
		name string
		conf Config
		env  map[string]string
		want string // the URL; empty for off
		grpc bool
		err  string
	}{
		{name: "nothing"},
		{name: "config", conf: Config{Endpoint: "http://h:1"}, env: map[string]string{base: "http://other"},
			want: "http://h:1/v1/traces"},
		{name: "config, whole path", conf: Config{Endpoint: "https://h/x/v1/traces"}, want: "https://h/x/v1/traces"},
		{name: "base", env: map[string]string{base: "http://h:1/x/"}, want: "http://h:1/x/v1/traces"},
		{name: "traces", env: map[string]string{base: "http://no", traces: "http://h:1/exact"},
			want: "http://h:1/exact"},
		{name: "grpc by config", conf: Config{Endpoint: "http://h:4317", Protocol: "grpc"}, want: "http://h:4317",
			grpc: true},
		{name: "grpc by env", env: map[string]string{base: "http://h:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			want: "http://h:4317", grpc: true},
		{name: "traces protocol first", env: map[string]string{base: "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
			"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, want: "http://h/v1/traces"},
		{name: "disabled", conf: Config{Endpoint: "http://h"}, env: map[string]string{"OTEL_SDK_DISABLED": "TRUE"}},
		{name: "off", conf: Config{Endpoint: Off}, env: map[string]string{base: "http://h"}},
		{name: "no exporter", conf: Config{Endpoint: "http://h"},
			env: map[string]string{"OTEL_TRACES_EXPORTER": "none"}},
		{name: "exporter of others", env: map[string]string{base: "http://h", "OTEL_TRACES_EXPORTER": "zipkin"}},
		{name: "exporter otlp", env: map[string]string{base: "http://h", "OTEL_TRACES_EXPORTER": "otlp"},
			want: "http://h/v1/traces"},
		{name: "host and port", conf: Config{Endpoint: "localhost:4317", Protocol: "grpc"},
			want: "http://localhost:4317", grpc: true},
		{name: "no host and port", conf: Config{Endpoint: "ftp://h"}, err: "telemetry: endpoint: it must be a URL"},
		{name: "no scheme", env: map[string]string{base: "localhost:4317"}, err: base},
		{name: "no host", env: map[string]string{base: "http://"}, err: base},
		{name: "secret", env: map[string]string{traces: "http://u:s3cr3t@h"}, err: "put credentials in headers"},
		{name: "unreadable secret", env: map[string]string{traces: "http://u:s3cr3t@h:x%"}, err: traces},
		{name: "protocol", conf: Config{Endpoint: "http://h", Protocol: "carrier pigeon"},
			err: `telemetry: protocol is "carrier pigeon"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.conf.Environ, c.conf.Logger = env(c.env), slog.New(slog.DiscardHandler)
			got, err := c.conf.target(signalTraces)
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("%v, want %q", err, c.err)
				}
				if checked := c.conf.Check(); checked == nil || checked.Error() != err.Error() {
					t.Errorf("Check says %v", checked)
				}
				if tel, err := Setup(t.Context(), c.conf); err == nil || tel.On() {
					t.Error("Setup took it")
				}
			case err != nil:
				t.Error(err)
			case c.want == "":
				if got != nil {
					t.Errorf("%v", got.url)
				}
			case got == nil || got.url.String() != c.want || got.grpc != c.grpc:
				t.Errorf("%+v", got)
			}
		})
	}
}

// requests is an OTLP receiver's inbox.
type requests chan *collector.ExportTraceServiceRequest

func (r requests) next(t *testing.T) *collector.ExportTraceServiceRequest {
	t.Helper()
	select {
	case req := <-r:
		return req
	case <-time.After(30 * time.Second):
		t.Fatal("no spans came")
		return nil
	}
}

func (r requests) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var m collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &m)
	}
	if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("X-Token") != "t" {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	r <- &m
}

type grpcReceiver struct {
	collector.UnimplementedTraceServiceServer
	requests
}

func (g grpcReceiver) Export(_ context.Context,
	m *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	g.requests <- m
	return &collector.ExportTraceServiceResponse{}, nil
}

func resourceAttr(attrs []*common.KeyValue, key string) string {
	i := slices.IndexFunc(attrs, func(kv *common.KeyValue) bool { return kv.Key == key })
	if i < 0 {
		return ""
	}
	return attrs[i].Value.GetStringValue()
}

func TestOTLP(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.namespace=theirs")
	inbox := make(requests, 10)
	web := httptest.NewServer(inbox)
	defer web.Close()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rpc := grpc.NewServer()
	collector.RegisterTraceServiceServer(rpc, grpcReceiver{requests: inbox})
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(lis) }()
	defer func() {
		rpc.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	for protocol, endpoint := range map[string]string{"http": web.URL, "grpc": "http://" + lis.Addr().String()} {
		t.Run(protocol, func(t *testing.T) {
			tel, err := Setup(t.Context(),
				Config{Endpoint: endpoint, Protocol: protocol, Headers: map[string]string{"x-token": "t"},
					ServiceName: "crew", Process: "p1", Project: "ours", Version: "v1", Environ: env(nil)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tel.Client(Hop{Communicator: "local"})(ok()).Call(t.Context(),
				&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t", From: agent.Identity{Agent: "b"}}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := tel.Shutdown(ctx); err != nil { // which flushes
				t.Fatal(err)
			}
			got := inbox.next(t).ResourceSpans[0]
			if s := got.ScopeSpans[0]; s.Scope.Name != scope || len(s.Spans) != 1 ||
				s.Spans[0].Name != "tools/call a.t" {
				t.Errorf("%v", s)
			}
			for key, want := range map[string]string{"service.name": "b", "service.instance.id": "p1/b",
				"service.version":   "v1",
				"service.namespace": "theirs", "deployment.environment.name": "test"} {
				if v := resourceAttr(got.Resource.Attributes, key); v != want {
					t.Errorf("%s is %q, want %q", key, v, want)
				}
			}
			if err := tel.Shutdown(ctx); err != nil {
				t.Error("the second time:", err)
			}
			if _, err := tel.Client(Hop{Communicator: "local"})(ok()).Call(t.Context(),
				&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}); err != nil {
				t.Error("a call after it:", err)
			}
		})
	}
}

// A receiver that is not there costs calls nothing, and shutting down is over in its time.
func TestReceiverDown(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	_ = lis.Close()
	for _, protocol := range []string{"http", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			tel, err := Setup(t.Context(), Config{Endpoint: "http://" + addr, Protocol: protocol, Environ: env(nil)})
			if err != nil {
				t.Fatal(err)
			}
			call := tel.Client(Hop{Communicator: "local"})(ok())
			for range 5000 { // more than the queue holds
				if _, err := call.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			began := time.Now()
			_ = tel.Shutdown(ctx) // an error or not, as the log already has them
			if d := time.Since(began); d > 20*time.Second {
				t.Errorf("shutting down took %v", d)
			}
		})
	}
}

// exportFunc is an exporter made of its one function.
type exportFunc func(ctx context.Context, n int) error

func (f exportFunc) ExportSpans(ctx context.Context, s []sdktrace.ReadOnlySpan) error {
	return f(ctx, len(s))
}
func (exportFunc) Shutdown(context.Context) error { return nil }

func TestAnExporterThatIsDownIsALineAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := newExporter(exportFunc(func(context.Context, int) error {
			return errors.New("connection refused")
		}), "http://h", slog.New(slog.NewTextHandler(&log, nil)))
		for range 600 { // ten minutes
			if err := e.ExportSpans(t.Context(), make([]sdktrace.ReadOnlySpan, 2)); err != nil {
				t.Fatal("the SDK got", err)
			}
			time.Sleep(time.Second) // in the bubble's time
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 10 || !strings.Contains(lines[1], "lost=120") ||
			!strings.Contains(lines[1], "connection refused") || !strings.Contains(lines[1], "http://h") {
			t.Errorf("%d lines:\n%s", len(lines), log.String())
		}
		e.abort()
	})
}

// A process may be killed at any moment, and what it has not sent is lost.
func TestSpansAreSentWithinASecond(t *testing.T) {
	for delay, want := range map[string]time.Duration{"": time.Second, "250": 250 * time.Millisecond} {
		t.Setenv("OTEL_BSP_SCHEDULE_DELAY", delay)
		synctest.Test(t, func(t *testing.T) {
			sent := make(chan time.Time, 1)
			tel, err := Setup(t.Context(), Config{Exporter: exportFunc(func(context.Context, int) error {
				sent <- time.Now()
				return nil
			})})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, _ = tel.Server(Hop{Communicator: "local"})(ok()).Call(t.Context(),
				&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
			if took := (<-sent).Sub(began); took != want {
				t.Errorf("OTEL_BSP_SCHEDULE_DELAY=%q: sent after %v, want %v", delay, took, want)
			}
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestShutdownDoesNotWaitForAStuckReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel, err := Setup(t.Context(), Config{Exporter: exportFunc(func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})})
		if err != nil {
			t.Fatal(err)
		}
		call := tel.Server(Hop{Communicator: "local"})(ok())
		for range 1500 { // three batches
			_, _ = call.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err = tel.Shutdown(ctx)
		if time.Since(began) != time.Second || !errors.Is(err, errAborted) ||
			!strings.Contains(err.Error(), "1500 spans") {
			t.Errorf("%v, %v", err, time.Since(began))
		}
	})
}
