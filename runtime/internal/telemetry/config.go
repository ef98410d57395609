package telemetry

import (
	"cmp"
	"log/slog"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/openmas/openmas/internal/rotate"
)

const scope = "github.com/openmas/openmas"

// What of the content of calls is recorded.
const (
	ContentNone   = "none"   // nothing
	ContentErrors = "errors" // the messages of errors, and the stacks of panics
	ContentAll    = "all"    // these, arguments and results
)

// Config is where spans go and who sends them.
type Config struct {
	// Endpoint is the base URL of an OTLP receiver ("http://127.0.0.1:4318"), or host:port. Empty:
	// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT says it, or there are no
	// spans. A receiver over HTTP is sent to /v1/traces below it.
	Endpoint string
	// Protocol is "http" or "grpc"; empty: OTEL_EXPORTER_OTLP_TRACES_PROTOCOL or
	// OTEL_EXPORTER_OTLP_PROTOCOL, or http.
	Protocol string
	// Headers are sent with each export; empty: those of OTEL_EXPORTER_OTLP_HEADERS. Their values
	// are secrets.
	Headers map[string]string
	// Project becomes service.namespace, and Version service.version. Each agent is a service: its
	// name is service.name, and Process, which names this process, with it service.instance.id.
	// With PerProcess, or where OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES name a service, all
	// spans are of one service, which is ServiceName or what these variables say.
	Project, Process, Version, ServiceName string
	PerProcess                             bool
	// Content is one of the Content… words; empty: [ContentErrors]. Mask takes secrets out of it;
	// nil: there are none.
	Content string
	Mask    func(string) string
	// Logs has the log sent as well: see [Logs].
	Logs bool
	// Provider, if not nil, makes the spans in place of providers of our own. Its owner shuts it
	// down. What is said of the export and of services above is of no effect then.
	Provider trace.TracerProvider
	// MeterProvider, if not nil, makes the instruments: see [SetupMetrics]. Its owner shuts it
	// down.
	MeterProvider metric.MeterProvider
	// Environ looks up the variables named here, OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER; nil is
	// os.LookupEnv. What the SDK reads itself (OTEL_TRACES_SAMPLER, OTEL_BSP_*, timeouts,
	// certificates) is always the environment of the process.
	Environ func(key string) (value string, ok bool)
	// Logger gets a line when spans cannot be exported, one a minute at most; nil drops it.
	Logger *slog.Logger
	// State is the state folder of the project. Its folder [TracesFolder] has the spans of recent
	// traces, in files of Recent bytes together. Recent 0 keeps them, 64 MiB, where spans are
	// exported; negative, or without State, keeps none.
	State  string
	Recent int64
	// Exporter, if not nil, gets the spans in place of an OTLP receiver. It is shut down with the
	// Telemetry.
	Exporter sdktrace.SpanExporter
}

// TracesFolder is the folder of recent traces.
const TracesFolder = "traces"

// recentSize is how large the files of recent traces are where nobody says.
const recentSize = 64 << 20

// keepsRecent reports whether the spans of recent traces are kept.
func (c Config) keepsRecent(exported bool) bool {
	return c.State != "" && (c.Recent > 0 || c.Recent == 0 && exported)
}

// recent makes what keeps them.
func (c Config) recent() *recent {
	size := cmp.Or(c.Recent, recentSize)
	return newRecent(rotate.New(c.State, TracesFolder, strings.ReplaceAll(c.Process, "/", "-"),
		rotate.Bounds{Size: size, Files: 500, Age: 7 * 24 * time.Hour}), c.Logger)
}

func (c Config) withDefaults() Config {
	if c.Environ == nil {
		c.Environ = os.LookupEnv
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) env(key string) string {
	v, _ := c.Environ(key)
	return strings.TrimSpace(v)
}

// parentDecides reports whether the sampler that the SDK takes from the environment leaves spans
// with a parent to that. What it does not know becomes the default, which does.
func (c Config) parentDecides() bool {
	switch c.env("OTEL_TRACES_SAMPLER") {
	case "always_on", "traceidratio":
		return false
	}
	return true
}
