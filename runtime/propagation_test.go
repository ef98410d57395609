package runtime_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/project"
)

// otelVars are the variables of OpenTelemetry in this process.
func otelVars() map[string]string {
	out := map[string]string{}
	for _, kv := range os.Environ() {
		if key, value, _ := strings.Cut(kv, "="); strings.HasPrefix(key, "OTEL_") {
			out[key] = value
		}
	}
	return out
}

// A stranger gets the trace context of a call in `_meta` and in the headers of its request, and
// baggage where the project says so.
func TestAStrangerGetsTheTrace(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverHTTP, project.OverSSE} {
		for _, bag := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s baggage %v", over, bag), func(t *testing.T) {
				t.Parallel()
				got := receiveSpans(t)
				s := sdk.NewServer(&sdk.Implementation{Name: "foreign", Version: "1"}, nil)
				meta := make(chan sdk.Meta, 2)
				headers := make(chan http.Header, 2)
				sdk.AddTool(s, &sdk.Tool{Name: "look"},
					func(_ context.Context, r *sdk.CallToolRequest, _ note) (*sdk.CallToolResult, any, error) {
						meta <- r.Params.Meta
						return nil, note{}, nil
					})
				s.AddPrompt(&sdk.Prompt{Name: "look"},
					func(_ context.Context, r *sdk.GetPromptRequest) (*sdk.GetPromptResult, error) {
						meta <- r.Params.Meta
						return &sdk.GetPromptResult{}, nil
					})
				server := func(*http.Request) *sdk.Server { return s }
				h := http.Handler(sdk.NewStreamableHTTPHandler(server, nil))
				if over == project.OverSSE {
					h = sdk.NewSSEHandler(server, nil)
				}
				web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Traceparent") != "" {
						headers <- r.Header
					}
					h.ServeHTTP(w, r)
				}))
				t.Cleanup(web.Close)
				cfg := &project.Config{Agents: map[string]project.Agent{
					"docs": {URL: web.URL, Communicator: over, Baggage: bag}}}
				cfg.Telemetry.Endpoint = got.url
				sys := start(t, cfg, nil)
				for _, op := range []agent.Op{agent.OpTool, agent.OpPrompt} {
					_, err := sys.Directory().Call(sys.ctx, &agent.Call{Op: op, Agent: "docs", Name: "look",
						Meta: map[string]string{"traceparent": foreignParent, "tracestate": "v=1",
							"baggage": "user=ann"}})
					if err != nil {
						t.Fatal(err)
					}
					m, h := <-meta, <-headers
					for key, want := range map[string]string{"traceparent": foreignTrace, "tracestate": "v=1",
						"baggage": map[bool]string{true: "user=ann"}[bag]} {
						said, _ := m[key].(string)
						if said != h.Get(key) || !strings.Contains(said, want) || want == "" && said != "" {
							t.Errorf("%s of a %s: _meta has %q and the header %q, want %q", key, op, said, h.Get(key),
								want)
						}
					}
				}
				sys.stop()
				if err := sys.wait(); err != nil {
					t.Fatal(err)
				}
				if n := len(got.find("tools/call docs.look")); n != 1 {
					t.Errorf("%d spans", n)
				}
			})
		}
	}
}

const (
	foreignTrace  = "0af7651916cd43dd8448eb211c80319c"
	foreignParent = "00-" + foreignTrace + "-b7ad6b7169203331-01"
)

// The gateway takes the trace context of a request from its headers where `_meta` has none.
func TestTheGatewayReadsTraceHeaders(t *testing.T) {
	t.Parallel()
	for _, over := range []mcp.Transport{mcp.Streamable, mcp.SSE} {
		t.Run(string(over), func(t *testing.T) {
			t.Parallel()
			got := receiveSpans(t)
			cfg := pair(project.OverLocal)
			cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
			cfg.Telemetry.Endpoint = got.url
			s := start(t, cfg, nil)
			c, err := client.Connect(t.Context(), client.Target{Transport: over, URL: s.Status().URL,
				Headers: map[string]string{"Traceparent": foreignParent}}, client.Options{})
			if err != nil {
				t.Fatal(err)
			}
			other := strings.Replace(foreignParent, foreignTrace, "11111111111111111111111111111111", 1)
			for _, call := range []agent.Call{{Op: agent.OpTool, Name: "near_say"},
				{Op: agent.OpPrompt, Name: "near_greet", Input: []byte(`{"name":"Ada"}`)},
				{Op: agent.OpTool, Name: "near_who", Meta: map[string]string{"traceparent": other}}} {
				if _, err := c.Call(t.Context(), &call); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.stop()
			if err := s.wait(); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"tools/call near.say": foreignTrace,
				"prompts/get near.greet": foreignTrace, "tools/call near.who": "11111111111111111111111111111111"} {
				for _, x := range got.find(name) {
					if id := fmt.Sprintf("%x", x.TraceId); id != want {
						t.Errorf("%s is in trace %s, want %s", name, id, want)
					}
				}
				if n := len(got.find(name)); n != 3 {
					t.Errorf("%d spans of %s", n, name)
				}
			}
		})
	}
}

// Child processes learn where traces go, and never the headers, which hold keys.
func TestTheTelemetryOfChildren(t *testing.T) {
	got := receiveSpans(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", got.url)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cr3t%20one")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "9000")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := pair(project.OverStdio)
	cfg.Project = "crew"
	stdio := map[string]string{foreignVar: "stdio"}
	cfg.Agents["plain"] = project.Agent{Command: []string{exe}, Env: stdio}
	own := maps.Clone(stdio)
	own["OTEL_SERVICE_NAME"] = "mine"
	cfg.Agents["traced"] = project.Agent{Command: []string{exe}, Env: own, Telemetry: true}
	s := start(t, cfg, nil)
	for name, want := range map[string]map[string]string{
		"far": {"OTEL_EXPORTER_OTLP_ENDPOINT": got.url, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "9000"},
		"traced": {"OTEL_EXPORTER_OTLP_ENDPOINT": got.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
			"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=crew"},
		"plain": {},
	} {
		vars, err := agent.Ask[map[string]string](s.ctx, name+".otel", note{})
		if err != nil || !maps.Equal(vars, want) {
			t.Errorf("%s has %v, %v\nwant %v", name, vars, err, want)
		}
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	if len(got.find("tools/call far.otel")) != 2 {
		t.Errorf("%v", got.all)
	}
	for _, h := range got.headers {
		if h.Get("Api-Key") != "s3cr3t one" {
			t.Errorf("an export has the headers %v", h)
		}
	}
}

// A handshake that fails has a trace of its own, and one that succeeds has none.
func TestAHandshakeThatFails(t *testing.T) {
	t.Parallel()
	got := receiveSpans(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := pair(project.OverHTTP)
	cfg.Telemetry.Endpoint = got.url
	cfg.Agents["gone"] = project.Agent{Command: []string{exe}, Env: map[string]string{foreignVar: "exits"}}
	s := start(t, cfg, nil)
	s.stop()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	failed := got.find("initialize gone")
	if len(failed) == 0 || len(failed) != len(got.all) {
		t.Fatalf("%v", got.all)
	}
	if x := failed[0]; x.service() != "openmas" || x.attr("mcp.method.name") != "initialize" ||
		x.attr("error.type") != "unavailable" || !strings.Contains(x.Status.Message, "exited with code 3") {
		t.Errorf("%v", x)
	}
}
