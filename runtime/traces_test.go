package runtime_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/mcp"
	"github.com/openmas/openmas/mcp/client"
	"github.com/openmas/openmas/runtime/project"
)

// spans is an OTLP receiver that keeps what it gets.
type spans struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	all     []span
	headers []http.Header // of each export
	metrics []byte        // the requests with metrics, as they came
}

type span struct {
	*trace.Span
	resource map[string]string
}

func (s span) service() string { return s.resource["service.name"] }

func (s span) attr(key string) string { return texts(s.Attributes)[key] }

func texts(attrs []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range attrs {
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			out[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.Key] = fmt.Sprint(v.IntValue)
		case *common.AnyValue_DoubleValue:
			out[kv.Key] = fmt.Sprint(v.DoubleValue)
		}
	}
	return out
}

func receiveSpans(t *testing.T) *spans {
	s := &spans{t: t}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

// ServeHTTP implements [http.Handler].
func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m collector.ExportTraceServiceRequest
	body, err := io.ReadAll(r.Body)
	if r.URL.Path == "/v1/metrics" && err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.metrics = append(s.metrics, body...)
		return
	}
	if err == nil {
		err = proto.Unmarshal(body, &m)
	}
	if err != nil {
		s.t.Error(err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.headers = append(s.headers, r.Header)
	for _, res := range m.ResourceSpans {
		for _, scope := range res.ScopeSpans {
			for _, one := range scope.Spans {
				s.all = append(s.all, span{one, texts(res.Resource.Attributes)})
			}
		}
	}
}

// find returns the spans with a name.
func (s *spans) find(name string) (out []span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.all {
		if x.Name == name {
			out = append(out, x)
		}
	}
	return out
}

// tree is the trace whose root has a name, as lines of service, kind and name, indented. A span
// without its parent fails the test.
func (s *spans) tree(root string) string {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.all, func(x span) bool { return x.Name == root && len(x.ParentSpanId) == 0 })
	if i < 0 {
		s.t.Errorf("no trace begins with %q", root)
		return ""
	}
	children, size := map[string][]span{}, 0
	for _, x := range s.all {
		if string(x.TraceId) == string(s.all[i].TraceId) {
			children[string(x.ParentSpanId)] = append(children[string(x.ParentSpanId)], x)
			size++
		}
	}
	var lines []string
	var walk func(parent, indent string)
	walk = func(parent, indent string) {
		below := children[parent]
		slices.SortFunc(below, func(a, b span) int { return strings.Compare(a.service()+a.Name, b.service()+b.Name) })
		for _, x := range below {
			kind := strings.ToLower(strings.TrimPrefix(x.Kind.String(), "SPAN_KIND_"))
			lines = append(lines, indent+x.service()+" "+kind+" "+x.Name)
			walk(string(x.SpanId), indent+"  ")
		}
	}
	walk("", "")
	if len(lines) != size {
		s.t.Errorf("%d of %d spans of %q have no parent there:\n%s", size-len(lines), size, root,
			strings.Join(lines, "\n"))
	}
	return strings.Join(lines, "\n")
}

// want compares trees with those of the traces that begin with their first lines' spans.
func (s *spans) want(trees ...string) {
	s.t.Helper()
	for _, want := range trees {
		want = strings.ReplaceAll(strings.TrimSpace(want), "\t", "")
		first, _, _ := strings.Cut(want, "\n")
		if got := s.tree(strings.SplitN(first, " ", 3)[2]); got != want {
			s.t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

var traceTrees = []string{`
test client tools/call near.relay
  near server tools/call near.relay
    near client tools/call far.who
      far server tools/call far.who`, `
test client tools/call far.relay
  far server tools/call far.relay
    far client tools/call near.who
      near server tools/call near.who`, `
test client tools/call far.publish
  far server tools/call far.publish
    far producer send probe.said
      far consumer process probe.said
      near consumer process probe.said`, `
test client prompts/get far.greet
  far server prompts/get far.greet`, `
test client tools/call far.panic
  far server tools/call far.panic`}

// makeTraces makes the calls of traceTrees.
func makeTraces(t *testing.T, s *system) {
	t.Helper()
	for _, tool := range []string{"near.relay", "far.relay"} {
		if _, err := agent.Ask[string](s.ctx, tool, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := agent.Ask[string](s.ctx, "far.publish", note{Text: "news"}); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.GetPrompt(s.ctx, "far.greet", map[string]string{"name": "Ada"}); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Ask[string](s.ctx, "far.panic", nil); agent.CodeOf(err) != agent.CodeInternal {
		t.Fatal(err)
	}
	for _, name := range []string{"near", "far"} {
		testkit.Eventually(t, name+" receives the event", func() bool {
			heard, err := agent.Ask[[]string](s.ctx, name+".heard", nil)
			return err == nil && slices.Equal(heard, []string{"news"})
		})
	}
}

// The tree of spans is the tree of calls, over every communicator: the caller's and the callee's
// span for each call, none twice, and none without its parent.
func TestTheTreeOfSpans(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			got := receiveSpans(t)
			cfg := pair(over)
			cfg.Project, cfg.Telemetry.Endpoint = "crew", got.url
			s := start(t, cfg, nil)
			makeTraces(t, s)
			s.stop()
			if err := s.wait(); err != nil {
				t.Fatal(err)
			}
			got.want(traceTrees...)
			for _, x := range got.find("tools/call far.who") {
				r := x.resource
				if r["service.namespace"] != "crew" || !strings.HasSuffix(r["service.instance.id"], "/"+x.service()) {
					t.Errorf("the service of a span is %v", r)
				}
				if x.attr("openmas.communicator") != over || x.attr("gen_ai.agent.name") != "far" {
					t.Errorf("the attributes of a span are %v", x.Attributes)
				}
				if destination := x.attr("messaging.destination.name"); over == project.OverPubSub &&
					(destination != "om.1.crew.call.far" || x.attr("messaging.system") != "memory") {
					t.Errorf("it goes to %q", destination)
				}
			}
			for _, x := range got.find("tools/call far.panic") {
				text := fmt.Sprint(x.Events)
				if !strings.Contains(text, "as told") || x.Status.Code != trace.Status_STATUS_CODE_ERROR ||
					strings.Contains(text, "agents_test.go") != (x.Kind == trace.Span_SPAN_KIND_SERVER) {
					t.Errorf("the %v span of a panic has %s", x.Kind, text)
				}
			}
		})
	}
}

// Processes that share a NATS server have their spans in the same places: a call for an agent in a
// child process is passed on to it, in its caller's span.
func TestTheTreeOfSpansOverSeveralProcesses(t *testing.T) {
	t.Parallel()
	for _, over := range overs {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			got := receiveSpans(t)
			dir, cfg := t.TempDir(), pair(over)
			cfg.Telemetry.Endpoint = got.url
			a, b := part(t, dir, cfg, "near"), part(t, dir, cfg, "far")
			a.ready()
			b.ready()
			testkit.Eventually(t, "both know both", func() bool {
				_, far := a.Directory().Agent("far")
				_, near := b.Directory().Agent("near")
				return far && near
			})
			makeTraces(t, a)
			for _, s := range []*system{b, a} {
				s.stop()
				if err := s.wait(); err != nil {
					t.Fatal(err)
				}
			}
			got.want(traceTrees...)
		})
	}
}

// The call of a foreign client has a span for the gateway's part, below the one that the client
// made.
func TestTheSpansOfAGatewaysClient(t *testing.T) {
	t.Parallel()
	got := receiveSpans(t)
	cfg := pair(project.OverStdio)
	cfg.Gateway = &project.Gateway{Listen: "127.0.0.1:0"}
	cfg.Telemetry.Endpoint = got.url
	s := start(t, cfg, nil)
	c, err := client.Connect(t.Context(), client.Target{Transport: mcp.Streamable, URL: s.Status().URL},
		client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, meta := range []map[string]string{nil,
		{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}} {
		if _, err := c.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "near_relay", Meta: meta}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "near_sing"}); err == nil {
		t.Error("an unknown tool has answered")
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if err := s.wait(); err != nil {
		t.Fatal(err)
	}
	got.want(`
openmas server tools/call near.relay
  openmas client tools/call near.relay
    near server tools/call near.relay
      near client tools/call far.who
        far server tools/call far.who`)
	if n := len(got.find("tools/call near.relay")); n != 6 {
		t.Errorf("%d spans of two calls", n)
	}
	for _, x := range got.find("tools/call near.relay") {
		came := x.service() == "openmas" && x.Kind == trace.Span_SPAN_KIND_SERVER
		if (x.attr("client.address") == "127.0.0.1" && len(x.attr("mcp.session.id")) == 8 &&
			x.attr("jsonrpc.request.id") != "" && x.attr("mcp.protocol.version") == "2025-11-25") != came {
			t.Errorf("the %v span of %s has %v", x.Kind, x.service(), x.Attributes)
		}
	}
	for _, x := range got.find("tools/call far.who") {
		if (x.attr("jsonrpc.request.id") == "") || x.attr("mcp.protocol.version") == "" {
			t.Errorf("the %v span of %s has %v", x.Kind, x.service(), x.Attributes)
		}
	}
	refused := got.find("tools/call")
	if len(refused) != 1 || refused[0].attr("gen_ai.tool.name") != "near_sing" || refused[0].service() != "openmas" ||
		refused[0].attr("openmas.code") != "not_found" || refused[0].attr("client.address") != "127.0.0.1" {
		t.Errorf("the spans of a call to an unknown tool are %v", refused)
	}
	parents := 0
	for _, x := range got.find("tools/call near.relay") {
		if fmt.Sprintf("%x", x.TraceId) == "0af7651916cd43dd8448eb211c80319c" &&
			fmt.Sprintf("%x", x.ParentSpanId) == "b7ad6b7169203331" {
			parents++
		}
	}
	if parents != 1 {
		t.Errorf("%d spans are children of the foreign client's, want 1", parents)
	}
}

// A receiver that takes requests and answers none is a warning when the system stops, and makes it
// neither fail nor wait for long: in the system's process as in a child's.
func TestSpansThatAreLostAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, over := range []string{project.OverLocal, project.OverStdio} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			end := make(chan struct{})
			receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
			defer receiver.Close()
			defer close(end)
			cfg := pair(over)
			cfg.Telemetry.Endpoint = receiver.URL
			cfg.Child.StdinWait = hang // on a busy machine too, the child ends by itself
			s := start(t, cfg, nil)
			if _, err := agent.Ask[string](s.ctx, "near.relay", nil); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			s.stop()
			if err := s.wait(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 12*time.Second { // of the 25 s that it may take
				t.Errorf("it took %v to stop", took)
			}
			want := map[string]int{project.OverLocal: 1, project.OverStdio: 2}[over]
			if n := strings.Count(s.log.String(), "spans were not exported to "+receiver.URL); n != want {
				t.Errorf("%d processes say so:\n%s", n, s.log)
			}
		})
	}
}
