package traces

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var began = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }

// spanOf makes one of a call; the trace is in docs/howto/tracing.md.
func spanOf(id, parent, service, name string, kind, from, to int, attrs ...any) Span {
	s := Span{TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", ID: id, Parent: parent, Name: name, Kind: kind,
		Start: at(from), End: at(to), Resource: map[string]any{"service.name": service}, Attributes: map[string]any{}}
	for i := 0; i < len(attrs); i += 2 {
		s.Attributes[attrs[i].(string)] = attrs[i+1]
	}
	return s
}

func example() []Span {
	failed := spanOf("06", "05", "geo", "tools/call geo.locate", Server, 120, 180, "openmas.code", "tool_failed",
		"openmas.communicator", "pubsub")
	failed.Failed, failed.Message = true, "no such city: Brrn"
	client := spanOf("05", "02", "weather", "tools/call geo.locate", Client, 110, 190,
		"openmas.communicator", "mcp-http", "openmas.attempts", int64(2), "openmas.code", "tool_failed", "openmas.queue.waited", 0.012)
	client.Failed, client.Message = true, "no such city: Brrn"
	client.Events = []Event{{Name: "retry", Time: at(150), Attributes: map[string]any{"openmas.code": "unavailable"}}}
	top := spanOf("02", "01", "weather", "tools/call weather.forecast", Server, 5, 200, "openmas.code", "tool_failed")
	top.Failed, top.Message = true, "no such city: Brrn"
	return []Span{
		spanOf("01", "", "openmas", "tools/call weather.forecast", Client, 0, 201, "openmas.communicator", "local"),
		top,
		spanOf("03", "02", "weather", "tools/call notes.search", Client, 10, 100, "openmas.communicator", "mcp-sse"),
		spanOf("04", "03", "notes", "tools/call notes.search", Server, 20, 95),
		client, failed,
		spanOf("07", "02", "weather", "tools/call maps.draw", Client, 195, 199, "openmas.communicator", "mcp-http"),
	}
}

// A trace is a tree with a row for each call; both ends of a call are one row.
func TestShow(t *testing.T) {
	group := Group(append(example(), example()[0])) // a span that came twice is there once
	if len(group) != 1 || len(group[0].Spans) != 7 || !group[0].Failed() {
		t.Fatalf("%+v", group)
	}
	var b bytes.Buffer
	if err := Show(&b, &group[0]); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/howto/tracing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, _ := strings.Cut(b.String(), "\n") // the first has the time of a place
	if rows = strings.TrimSpace(rows); !strings.Contains(string(doc), rows) {
		t.Errorf("docs/howto/tracing.md does not have this:\n%s", b.String())
	}
}

// Why a call failed knows whoever waited for it; that a context was over says nothing more.
func TestReasonsSayWhy(t *testing.T) {
	const why = "far.slow: not done within 1s, its timeout (agents.far.timeout)"
	caller := spanOf("01", "", "openmas", "tools/call far.slow", Client, 0, 100, "openmas.code", "deadline_exceeded")
	caller.Failed, caller.Message = true, why
	for _, bare := range []string{"context canceled", "context deadline exceeded"} {
		callee := spanOf("02", "01", "far", "tools/call far.slow", Server, 1, 99, "openmas.code", "canceled")
		callee.Failed, callee.Message = true, bare
		trace := Group([]Span{caller, callee})[0]
		var b bytes.Buffer
		if err := Show(&b, &trace); err != nil {
			t.Fatal(err)
		}
		if got := trace.Reason(); got != "✗ deadline_exceeded: "+why || strings.Contains(b.String(), bare) {
			t.Errorf("%s, and\n%s", got, b.String())
		}
		if got := (&Trace{Spans: []Span{callee}}).Reason(); got != "✗ canceled: "+bare {
			t.Errorf("the callee alone: %s", got)
		}
	}
}

// What is written is read again, and what protojson, the Collector and Jaeger write is read too.
func TestOTLP(t *testing.T) {
	spans := example()
	spans[0].Attributes["list"] = []string{"a", "b"}
	spans[0].Attributes["yes"] = true
	line, err := Append(nil, spans)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i].Start = got[i].Start.UTC(); !got[i].End.Equal(spans[i].End) {
			t.Errorf("%d ends at %v", i, got[i].End)
		}
		got[i].End = spans[i].End
		for n := range got[i].Events {
			got[i].Events[n].Time = got[i].Events[n].Time.UTC()
		}
		if got[i].Attributes == nil {
			got[i].Attributes = map[string]any{}
		}
		if !reflect.DeepEqual(got[i], spans[i]) {
			t.Errorf("got  %+v\nwant %+v", got[i], spans[i])
		}
	}
	got, err = Parse([]byte(`{"result":{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{"name":"x"},"spans":[
{"traceId":"ab","spanId":"cd","kind":"SPAN_KIND_SERVER","startTimeUnixNano":1000,"endTimeUnixNano":"2000","status":
{"code":"STATUS_CODE_ERROR"},"attributes":[{"key":"n","value":{"intValue":7}}]}]}]}]}}`))
	if err != nil || len(got) != 1 || got[0].Kind != Server || !got[0].Failed || got[0].Took() != time.Microsecond ||
		got[0].Attributes["n"] != int64(7) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A span of a client that calls no agent has no callee here: it is shown as what it is.
func TestAModelIsNoCallee(t *testing.T) {
	chat := spanOf("02", "01", "desk", "chat scripted", Client, 5, 20, "gen_ai.operation.name", "chat",
		"gen_ai.request.model", "scripted", "gen_ai.usage.input_tokens", int64(12), "gen_ai.usage.output_tokens",
		int64(30))
	query := spanOf("03", "01", "desk", "SELECT", Client, 20, 30, "db.system.name", "sqlite")
	var b bytes.Buffer
	if err := Show(&b, &Group([]Span{spanOf("01", "", "desk", "think", Internal, 0, 40), chat, query})[0]); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); strings.Contains(text, "caller only") || !strings.Contains(text, "12→30 tokens") ||
		!strings.Contains(text, "├ chat scripted ") {
		t.Error(text)
	}
}

// What strangers send goes in no circle, steers no terminal and has bounds.
func TestStrangeTraces(t *testing.T) {
	a := spanOf("a", "b", "x\x1b[2J", "tools/call x.\x1b[31mred", Client, 0, 1)
	b := spanOf("b", "a", "y", "y", Server, 0, 0)
	many := []Span{a, b, spanOf("c", "c", "", "", 0, 5, 0)}
	for i := range 2 * maxRows {
		many = append(many, spanOf(fmt.Sprint("m", i), "a", "z", "z", Internal, i, i))
	}
	var out bytes.Buffer
	if err := Show(&out, &Group(many)[0]); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n > maxRows+2 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%d rows, escapes: %v", n, strings.Contains(out.String(), "\x1b"))
	}
}

// Every span is in the tree once, whatever its parent is: circles have a root each.
func TestTree(t *testing.T) {
	parents := map[string]string{"a": "", "b": "a", "c": "gone", "d": "d", "e": "g", "f": "e", "g": "f", "h": "e",
		"i": "h"}
	var spans []Span
	for i, id := range []string{"i", "h", "a", "b", "c", "d", "e", "f", "g"} {
		spans = append(spans, spanOf(id, parents[id], "x", id, Internal, i, i))
	}
	var tree func(nodes []*Node) string
	tree = func(nodes []*Node) (s string) {
		for _, n := range nodes {
			s += n.ID
			if len(n.Below) > 0 {
				s += "(" + tree(n.Below) + ")"
			}
		}
		return s
	}
	if got := tree(Group(spans)[0].Tree()); got != "a(b)cde(h(i)f(g))" {
		t.Errorf("got %s", got)
	}
}

func BenchmarkTree(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		deep := make([]Span, n)
		for i := range deep {
			deep[i] = spanOf(fmt.Sprint(i), fmt.Sprint(i-1), "x", "x", Internal, i, n)
		}
		t := &Group(deep)[0]
		b.Run(fmt.Sprintf("deep=%d", n), func(b *testing.B) {
			for b.Loop() {
				t.Tree()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/span")
		})
		// The other way round, as spans of one start may come: each link passes all below it.
		back := slices.Clone(deep)
		slices.Reverse(back)
		t = &Trace{ID: t.ID, Spans: back}
		b.Run(fmt.Sprintf("back=%d", n), func(b *testing.B) {
			for b.Loop() {
				t.Tree()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/span")
		})
	}
}
