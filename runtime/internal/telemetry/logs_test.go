package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/openmas/openmas/internal/logs"
)

// inbox is a receiver of logs, over HTTP and gRPC.
type inbox struct {
	collector.UnimplementedLogsServiceServer
	mu  sync.Mutex
	got []string
}

// Export implements [collector.LogsServiceServer]. It notes each record as a line.
func (in *inbox) Export(_ context.Context, m *collector.ExportLogsServiceRequest) (
	*collector.ExportLogsServiceResponse, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, r := range m.ResourceLogs {
		for _, s := range r.ScopeLogs {
			for _, l := range s.LogRecords {
				line := fmt.Sprintf("%s %d %s %s %x/%x", resourceAttr(r.Resource.Attributes, "service.name"),
					l.SeverityNumber, l.SeverityText, l.Body.GetStringValue(), l.TraceId, l.SpanId)
				for _, a := range l.Attributes {
					line += fmt.Sprintf(" %s=%s", a.Key, text(a.Value))
				}
				in.got = append(in.got, line)
			}
		}
	}
	return &collector.ExportLogsServiceResponse{}, nil
}

func text(v *common.AnyValue) string {
	_, after, _ := strings.Cut(v.String(), ":")
	return after
}

// ServeHTTP implements [http.Handler].
func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	m := &collector.ExportLogsServiceRequest{}
	if err == nil {
		err = proto.Unmarshal(body, m)
	}
	if err != nil || r.URL.Path != "/v1/logs" || r.Header.Get("x-token") != "t" {
		http.Error(w, r.URL.Path, http.StatusBadRequest)
		return
	}
	_, _ = in.Export(r.Context(), m)
}

const traceID, spanID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

// A line is of its agent's service, and in the span that it names.
func TestLogsOverOTLP(t *testing.T) {
	in := &inbox{}
	web := httptest.NewServer(in)
	defer web.Close()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	rpc := grpc.NewServer()
	collector.RegisterLogsServiceServer(rpc, in)
	served := make(chan error, 1)
	go func() { served <- rpc.Serve(lis) }()
	defer func() {
		rpc.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	for protocol, endpoint := range map[string]string{"http": web.URL, "grpc": lis.Addr().String()} {
		t.Run(protocol, func(t *testing.T) {
			in.got = nil
			var l Logs
			log := slog.New(l.Handler(slog.LevelInfo))
			if log.Enabled(t.Context(), slog.LevelError) {
				t.Error("a line is made before Start")
			}
			if err := l.Start(t.Context(), Config{Endpoint: endpoint, Protocol: protocol, Logs: true, Project: "ours",
				Process: "p1", Headers: map[string]string{"x-token": "t"}, Environ: env(nil)}); err != nil {
				t.Fatal(err)
			}
			log.Info("up")
			log.Debug("nobody wants it")
			log.With("agent", "a").Warn("call failed", "tool", "t", "duration", 1500*time.Millisecond, "attempts", 2,
				"trace_id", traceID, "span_id", spanID, "error", errors.New("no"), slog.Group("g", "ok", true, "f", 0.5))
			log.WithGroup("deep").With("k", "v").Error("stop", "n", 1)
			log.Log(t.Context(), logs.LevelTrace+8, "at debug and above", "agent", "b")
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := l.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
			log.Info("after it")
			want := []string{
				"openmas 9 INFO up 00000000000000000000000000000000/0000000000000000",
				"openmas 17 ERROR stop 00000000000000000000000000000000/0000000000000000" +
					` deep.k="v" deep.n=1`,
				"a 13 WARN call failed " + traceID + "/" + spanID + ` agent="a" tool="t" duration=1.5 attempts=2` +
					` error="no" g.ok=true g.f=0.5`,
				"b 9 INFO at debug and above 00000000000000000000000000000000/0000000000000000" + ` agent="b"`,
			}
			for _, w := range want {
				found := false
				for _, g := range in.got {
					g = strings.Replace(g, " /", " 00000000000000000000000000000000/0000000000000000", 1)
					found = found || g == w
				}
				if !found {
					t.Errorf("no line %q", w)
				}
			}
			if len(in.got) != len(want) || t.Failed() {
				t.Errorf("%d lines:\n%s", len(in.got), strings.Join(in.got, "\n"))
			}
			if err := l.Shutdown(ctx); err != nil {
				t.Error("the second time:", err)
			}
		})
	}
}

// logsFunc is an exporter made of its one function.
type logsFunc func(ctx context.Context, n int) error

func (f logsFunc) Export(ctx context.Context, all []sdklog.Record) error { return f(ctx, len(all)) }
func (logsFunc) Shutdown(context.Context) error                          { return nil }
func (logsFunc) ForceFlush(context.Context) error                        { return nil }

// The line about a receiver that is down goes to the receiver too, and makes no others.
func TestAReceiverOfLogsThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown bytes.Buffer
		var l Logs
		log := slog.New(slog.NewMultiHandler(slog.NewTextHandler(&shown, nil), l.Handler(slog.LevelInfo)))
		e := &logExporter{Exporter: logsFunc(func(context.Context, int) error { return errors.New("refused") }),
			sending: newSending("lines of the log", "http://h", log)}
		l.sender.Store(&sender{services: &services{config: Config{}, base: nil}, exporter: e,
			queue: sdklog.NewBatchProcessor(e), loggers: map[string]otellog.Logger{}})
		for range 5000 { // more than the queue holds, and nobody waits
			log.Info("work")
		}
		time.Sleep(10 * time.Minute) // in the bubble's time
		ended, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = l.Shutdown(ended) // what is lost is in the log, or not
		if n := strings.Count(shown.String(), "lines of the log were not exported"); n != 1 {
			t.Errorf("%d lines about it", n)
		}
	})
}

func TestShutdownDoesNotWaitForAStuckReceiverOfLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Logs
		e := &logExporter{Exporter: logsFunc(func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}), sending: newSending("lines of the log", "http://h", slog.New(slog.DiscardHandler))}
		l.sender.Store(&sender{services: &services{}, exporter: e, queue: sdklog.NewBatchProcessor(e),
			loggers: map[string]otellog.Logger{}})
		log := slog.New(l.Handler(slog.LevelInfo))
		for range 600 {
			log.Info("work")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := l.Shutdown(ctx)
		if time.Since(began) != time.Second || !errors.Is(err, errAborted) ||
			!strings.Contains(err.Error(), "600 lines") {
			t.Errorf("%v, %v", err, time.Since(began))
		}
	})
}
