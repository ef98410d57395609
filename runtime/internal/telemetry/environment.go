package telemetry

import (
	"cmp"
	"net/url"
	"os"
	"strings"
)

const (
	headersVar  = "OTEL_EXPORTER_OTLP_HEADERS"
	serviceVar  = "OTEL_SERVICE_NAME"
	resourceVar = "OTEL_RESOURCE_ATTRIBUTES"
)

// ForOwn is what a child process of our own types gets: the standard variables of our environment,
// but for headers, which hold keys. Those that exports need are returned apart. Where our
// environment names a service, the child is one of its own, name.
func (c Config) ForOwn(name string) (vars, headers map[string]string) {
	c = c.withDefaults()
	vars = map[string]string{}
	for _, kv := range os.Environ() {
		key, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(key, "OTEL_") && !strings.HasSuffix(key, "_HEADERS") {
			vars[key] = value
		}
	}
	if c.env(serviceVar) != "" || strings.Contains(c.env(resourceVar), "service.name=") {
		vars[serviceVar] = name
	}
	if headers = c.Headers; len(headers) == 0 {
		headers = parseHeaders(cmp.Or(c.env("OTEL_EXPORTER_OTLP_TRACES_HEADERS"), c.env(headersVar)))
	}
	return vars, headers
}

// ForForeign is what tells a program with an SDK of its own where traces go, and that it is the
// service name: the endpoint and the protocol, and never a header. If telemetry is off, so is that
// of the program, whose SDK would look for a receiver on this machine.
func (c Config) ForForeign(name string) map[string]string {
	c = c.withDefaults()
	to, err := c.target(signalTraces)
	if err != nil || to == nil { // a start refuses what is wrong with it
		return map[string]string{"OTEL_SDK_DISABLED": "true"}
	}
	vars := map[string]string{serviceVar: name, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
	if to.grpc {
		vars["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc"
	}
	if c.Project != "" {
		vars[resourceVar] = "service.namespace=" + c.Project
	}
	if _, value, base := c.endpoint(signalTraces); base {
		if !strings.Contains(value, "://") {
			value = "http://" + value
		}
		vars["OTEL_EXPORTER_OTLP_ENDPOINT"] = strings.TrimSuffix(value, signalTraces.path)
	} else {
		vars["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = value
	}
	return vars
}

// parseHeaders reads the value of a variable of headers: pairs key=value between commas, the values
// escaped as in a URL. What is malformed is left out, as the SDK does.
func parseHeaders(text string) map[string]string {
	out := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		if decoded, err := url.PathUnescape(strings.TrimSpace(value)); ok && key != "" && err == nil {
			out[key] = decoded
		}
	}
	return out
}
