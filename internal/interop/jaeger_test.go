package interop

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openmas/openmas/internal/interop/toolbox"
)

var update = flag.Bool("update", false, "write the trace that the test of Jaeger sees into docs/howto/tracing.md")

// crew is the review crew, over each communicator, with a program in Python beside it.
const crew = `project: review-crew
gateway: {listen: "127.0.0.1:0"}
start: {timeout: 60s}
agents:
  collector:  {type: collector, communicator: mcp-http}
  complexity: {type: complexity, communicator: mcp-stdio}
  linter:     {type: linter, communicator: mcp-sse}
  historian:  {type: historian, communicator: pubsub}
  editor:     {type: editor, config: {root: %q}}
  notes:      {command: %s, telemetry: true}
`

// A Python client with a tracer of its own has the crew review a folder, and a Python server with
// one keeps the report: Jaeger has one trace of it, from end to end.
func TestJaeger(t *testing.T) {
	rows.add(t, "Jaeger", toolbox.JaegerVersion, "one trace of all", "OTLP")
	needs(t, toolbox.Traced()...)
	ports := freePorts(t, 3)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off") // it would trace itself
	jaeger := start(t, nil, append([]string{toolbox.JaegerIn(folder(toolbox.Jaeger))},
		toolbox.JaegerFlags(ports[0], ports[1], ports[2])...)...)
	query := fmt.Sprintf("http://127.0.0.1:%d", ports[2])
	awaitHTTP(t, query+"/api/services")
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", fmt.Sprintf("http://127.0.0.1:%d", ports[0]))

	python, scripts := toolbox.PythonIn(folder(toolbox.PythonTraced)), absolute(t, "testdata/python")
	notes, err := json.Marshal([]string{python, filepath.Join(scripts, "traced_server.py")}) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	reviewed := t.TempDir()
	source := []byte("package shop\n\nfunc Price() int { return 3 }\n")
	if err := os.WriteFile(filepath.Join(reviewed, "shop.go"), source, 0o600); err != nil {
		t.Fatal(err)
	}
	run := start(t, nil, review(t), "run", projectFile(t, fmt.Sprintf(crew, reviewed, notes)))
	url := run.url(t)
	t.Setenv("OTEL_SERVICE_NAME", "assistant")
	id := start(t, nil, python, filepath.Join(scripts, "traced_client.py"), url+"/mcp", reviewed).wait(t)
	run.stop(t) // so that all spans are sent

	got := fetchTrace(t, query, strings.TrimSpace(id))
	got.check(t)
	over, services := map[string]bool{}, map[string]bool{}
	for _, s := range got.Spans {
		over[s.tag("openmas.communicator")], services[got.service(s)] = true, true
	}
	delete(over, "")
	if want := []string{"local", "mcp-http", "mcp-sse", "mcp-stdio", "pubsub"}; !slices.Equal(
		slices.Sorted(maps.Keys(over)), want) {
		t.Errorf("the trace goes over %v, want %v", over, want)
	}
	for _, s := range []string{"assistant", "openmas", "editor", "collector", "complexity", "linter", "historian",
		"notes"} {
		if !services[s] {
			t.Errorf("the trace has no span of %s", s)
		}
	}
	got.checkDocs(t)
	if err := terminate(jaeger.cmd); err != nil {
		t.Error(err)
	}
	<-jaeger.done
}

var review = program("../../examples/06-review-crew")

func absolute(t *testing.T, path string) string {
	t.Helper()
	out, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// freePorts are ports that nobody listens on, for a program that cannot choose one.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// A jaegerTrace is a trace as Jaeger's query API has it.
type jaegerTrace struct {
	Spans     []jaegerSpan                            `json:"spans"`
	Processes map[string]struct{ ServiceName string } `json:"processes"`
}

type jaegerSpan struct {
	SpanID        string `json:"spanID"`
	OperationName string `json:"operationName"`
	ProcessID     string `json:"processID"`
	References    []struct {
		RefType string `json:"refType"`
		SpanID  string `json:"spanID"`
	} `json:"references"`
	Tags []struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	} `json:"tags"`
}

func (s jaegerSpan) tag(key string) string {
	for _, tag := range s.Tags {
		if tag.Key == key {
			return fmt.Sprint(tag.Value)
		}
	}
	return ""
}

// parent is the ID of the span's parent; empty at the root.
func (s jaegerSpan) parent() string {
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" {
			return r.SpanID
		}
	}
	return ""
}

func (t *jaegerTrace) service(s jaegerSpan) string { return t.Processes[s.ProcessID].ServiceName }

// children are the spans by their parents' IDs, by service and name: some go on at the same time.
func (t *jaegerTrace) children() map[string][]jaegerSpan {
	out := map[string][]jaegerSpan{}
	for _, s := range t.Spans {
		out[s.parent()] = append(out[s.parent()], s)
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b jaegerSpan) int {
			return cmp.Or(cmp.Compare(t.service(a), t.service(b)), cmp.Compare(a.OperationName, b.OperationName))
		})
	}
	return out
}

// tree is the trace as lines of service, kind and name, indented.
func (t *jaegerTrace) tree() (lines []string) {
	children := t.children()
	var walk func(parent, indent string)
	walk = func(parent, indent string) {
		for _, s := range children[parent] {
			kind := cmp.Or(s.tag("span.kind"), "internal")
			lines = append(lines, fmt.Sprintf("%s%s %s %s", indent, t.service(s), kind, s.OperationName))
			walk(s.SpanID, indent+"  ")
		}
	}
	walk("", "")
	return lines
}

// check wants a tree of all spans, with a client and a server for each hop, and none twice.
func (t *jaegerTrace) check(test *testing.T) {
	test.Helper()
	children := t.children()
	if n := len(children[""]); n != 1 {
		test.Errorf("%d spans are roots", n)
	}
	if lines := t.tree(); len(lines) != len(t.Spans) {
		test.Errorf("%d of %d spans are orphans:\n%s", len(t.Spans)-len(lines), len(t.Spans), strings.Join(lines, "\n"))
	}
	for _, s := range t.Spans {
		below := map[string]int{}
		for _, c := range children[s.SpanID] {
			below[c.tag("span.kind")]++
		}
		switch kind := s.tag("span.kind"); {
		case !strings.Contains(s.OperationName, "tools/call") && len(below) == 0: // the SDK's client reads the list
		case kind == "client" && (below["server"] != 1 || len(children[s.SpanID]) != 1):
			test.Errorf("below the client %s of %s are %v", s.OperationName, t.service(s), below)
		case kind != "client" && below["server"] > 0:
			test.Errorf("a server is below the %s %s of %s", kind, s.OperationName, t.service(s))
		case kind == "producer" && below["consumer"] != len(children[s.SpanID]):
			test.Errorf("below the producer %s of %s are %v", s.OperationName, t.service(s), below)
		}
	}
	if test.Failed() {
		test.Log(strings.Join(t.tree(), "\n"))
	}
}

// fetchTrace waits until Jaeger has stored the last span of the trace.
func fetchTrace(t *testing.T, query, id string) *jaegerTrace {
	t.Helper()
	var out *jaegerTrace
	patiently(t, func() error {
		resp, err := http.Get(query + "/api/traces/" + id)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var found struct{ Data []*jaegerTrace }
		if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
			return err
		}
		if len(found.Data) != 1 || len(found.Data[0].children()[""]) != 1 {
			return fmt.Errorf("trace %s is not there yet: %d", id, len(found.Data))
		}
		out = found.Data[0]
		return nil
	})
	return out
}

// checkDocs compares the tree with the one in the documentation, or writes it there.
func (t *jaegerTrace) checkDocs(test *testing.T) {
	test.Helper()
	const file, begin, end = "../../docs/howto/tracing.md", "<!-- the trace of a review -->\n```text\n", "\n```\n"
	raw, err := os.ReadFile(file)
	if err != nil {
		test.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	block, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		test.Fatalf("%s has no block after %q", file, begin)
	}
	tree := strings.Join(t.tree(), "\n")
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+tree+end+after), 0o644); err != nil {
			test.Fatal(err)
		}
	} else if tree != block {
		test.Errorf("the trace is\n%s\nand %s has\n%s\n(make test-jaeger UPDATE=1 writes it)", tree, file, block)
	}
}
