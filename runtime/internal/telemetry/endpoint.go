package telemetry

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// A signal is what is sent: its word in the names of variables, and its path at a receiver.
type signal struct{ env, path string }

var (
	signalTraces  = signal{"TRACES", "/v1/traces"}
	signalMetrics = signal{"METRICS", "/v1/metrics"}
	signalLogs    = signal{"LOGS", "/v1/logs"}
)

// Off is the endpoint of a configuration that sends nothing, whatever the environment says.
const Off = "off"

// A target is an OTLP receiver.
type target struct {
	url  *url.URL
	grpc bool
}

// target finds the receiver of a signal in the configuration and the environment; nil when there is
// none, or the environment turns it off.
func (c Config) target(s signal) (*target, error) {
	if strings.EqualFold(c.env("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	if key := "OTEL_" + s.env + "_EXPORTER"; c.env(key) != "" && c.env(key) != "otlp" {
		if name := c.env(key); name != "none" {
			c.Logger.Warn("telemetry is off: "+key+" names an exporter that is not here", "want", "otlp or none", "got",
				name)
		}
		return nil, nil
	}
	var t target
	name, value, base := c.endpoint(s)
	if value == "" || c.Endpoint == Off {
		return nil, nil
	}
	if c.Endpoint != "" && !strings.Contains(value, "://") {
		value = "http://" + value // host:port
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: it must be a URL like http://127.0.0.1:4318, with http or https", name)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%s: a URL with a user name or password is not used; put credentials in headers", name)
	}
	if t.grpc, err = c.grpc(s); err != nil {
		return nil, err
	}
	if base && !t.grpc && !strings.HasSuffix(u.Path, s.path) {
		u = u.JoinPath(s.path)
	}
	t.url = u
	return &t, nil
}

// endpoint returns which setting names the endpoint, and whether it is the base of all OTLP's URLs
// or that of the signal.
func (c Config) endpoint(s signal) (name, value string, base bool) {
	if c.Endpoint != "" {
		return "telemetry: endpoint", c.Endpoint, true
	}
	name = "OTEL_EXPORTER_OTLP_" + s.env + "_ENDPOINT"
	if v := c.env(name); v != "" {
		return name, v, false
	}
	name = "OTEL_EXPORTER_OTLP_ENDPOINT"
	return name, c.env(name), true
}

func (c Config) grpc(s signal) (bool, error) {
	name, value := "telemetry: protocol", c.Protocol
	for _, key := range []string{"OTEL_EXPORTER_OTLP_" + s.env + "_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if value == "" {
			name, value = key, c.env(key)
		}
	}
	switch value {
	case "", "http", "http/protobuf":
		return false, nil
	case "grpc":
		return true, nil
	case "http/json": // which the exporter reads from the environment itself
		if c.Protocol == "" {
			return false, nil
		}
	}
	return false, fmt.Errorf("%s is %q: http or grpc", name, value)
}

func (t *target) exporter(ctx context.Context, headers map[string]string) (sdktrace.SpanExporter, error) {
	if t.grpc {
		opts := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(t.url.String())}
		if len(headers) > 0 {
			opts = append(opts, otlptracegrpc.WithHeaders(headers))
		}
		return otlptracegrpc.New(ctx, opts...)
	}
	opts := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(t.url.String())}
	if len(headers) > 0 {
		opts = append(opts, otlptracehttp.WithHeaders(headers))
	}
	return otlptracehttp.New(ctx, opts...)
}

// Check returns what is wrong with the configuration: the error that Setup would return.
func (c Config) Check() error {
	if c.Provider != nil {
		return nil
	}
	c = c.withDefaults()
	all := []signal{signalTraces, signalMetrics}
	if c.Logs {
		all = append(all, signalLogs)
	}
	for _, s := range all {
		if _, err := c.target(s); err != nil {
			return err
		}
	}
	return nil
}
