package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/openmas/openmas/agent"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	foreignTrace  = "0af7651916cd43dd8448eb211c80319c"
	foreignSpan   = "b7ad6b7169203331"
	foreignParent = "00-" + foreignTrace + "-" + foreignSpan + "-01"
)

// recorder is a telemetry and the spans it made.
type recorder struct {
	*Telemetry
	t   testing.TB
	exp *tracetest.InMemoryExporter
}

func record(t testing.TB) *recorder {
	t.Helper()
	exp := tracetest.NewInMemoryExporter()
	tel, err := Setup(t.Context(), Config{Exporter: exp})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &recorder{Telemetry: tel, t: t, exp: exp}
}

// spans flushes, and finds the spans by kind and name. It fails the test when two are alike.
func (r *recorder) spans() map[string]tracetest.SpanStub {
	r.t.Helper()
	if err := r.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	out := map[string]tracetest.SpanStub{}
	for _, s := range r.exp.GetSpans() {
		key := s.SpanKind.String() + " " + s.Name
		if _, dup := out[key]; dup {
			r.t.Errorf("two spans %q", key)
		}
		out[key] = s
	}
	return out
}

func attr(s tracetest.SpanStub, key attribute.Key) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.Emit()
		}
	}
	return ""
}

func wantAttrs(t *testing.T, s tracetest.SpanStub, want map[attribute.Key]string) {
	t.Helper()
	for k, v := range want {
		if got := attr(s, k); got != v {
			t.Errorf("%s: %s is %q, want %q", s.Name, k, got, v)
		}
	}
}

func wantChild(t *testing.T, child, parent tracetest.SpanStub) {
	t.Helper()
	if child.Parent.SpanID() != parent.SpanContext.SpanID() || child.SpanContext.TraceID() != parent.SpanContext.TraceID() {
		t.Errorf("%q is no child of %q", child.Name, parent.Name)
	}
}

type directory struct{ agent.Caller }

func (directory) Agents() []agent.Info            { return nil }
func (directory) Agent(string) (agent.Info, bool) { return agent.Info{}, false }

// wire is the border of a process: only what is in the call crosses it.
func wire(next agent.Caller) agent.Caller {
	return agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		return next.Call(context.Background(), c)
	})
}

func host(t *testing.T, name string, dir agent.Caller, tools ...agent.Tool) agent.Caller {
	t.Helper()
	h, err := agent.NewHost(agent.Env{Name: name, Directory: directory{dir}}, agent.Capabilities{Tools: tools})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// a calls b locally, and b calls c over stdio; beneath each the telemetry of side. The middle and the far one may have other telemetries.
func crew(t *testing.T, near, far *Telemetry) context.Context {
	c := host(t, "c", nil, agent.NewTool("last", "d", func(ctx context.Context, _ struct{}) (string, error) {
		return baggage.FromContext(ctx).String(), nil
	}))
	stdio := Hop{Communicator: "mcp-stdio", Instance: "c/0"}
	toC := agent.Chain(c, near.Client(Hop{Communicator: "mcp-stdio"}), wire, far.Server(stdio))
	b := host(t, "b", toC, agent.NewTool("middle", "d", func(ctx context.Context, _ struct{}) (string, error) {
		return agent.Ask[string](ctx, "c.last", nil)
	}))
	toB := agent.Chain(b, near.Client(Hop{Communicator: "local"}), near.Server(Hop{Communicator: "local"}))
	return agent.WithEnv(t.Context(), agent.Env{Name: "a", Directory: directory{toB}})
}

func TestOneTraceOverLocalAndWire(t *testing.T) {
	near, far := record(t), record(t)
	ctx := crew(t, near.Telemetry, far.Telemetry)
	err := near.Runner("a", func(ctx context.Context) error {
		_, err := agent.Ask[string](ctx, "b.middle", nil)
		return err
	})(ctx)
	if err != nil {
		t.Fatal(err)
	}
	here, there := near.spans(), far.spans()
	if len(here) != 4 || len(there) != 1 {
		t.Fatalf("%v\n%v", here, there)
	}
	run, toB, inB := here["internal invoke_agent a"], here["client tools/call b.middle"], here["server tools/call b.middle"]
	toC, inC := here["client tools/call c.last"], there["server tools/call c.last"]
	for _, edge := range [][2]tracetest.SpanStub{{toB, run}, {inB, toB}, {toC, inB}, {inC, toC}} {
		wantChild(t, edge[0], edge[1])
	}
	if !inC.Parent.IsRemote() || inB.Parent.IsRemote() || run.Parent.IsValid() {
		t.Error("remote parents are wrong")
	}
	wantAttrs(t, run, map[attribute.Key]string{"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a", "openmas.agent": "a", "error.type": ""})
	wantAttrs(t, toB, map[attribute.Key]string{"openmas.agent": "b", "openmas.caller": "a", "openmas.communicator": "local", "openmas.attempts": "1", "openmas.depth": "0", "network.transport": ""})
	wantAttrs(t, toC, map[attribute.Key]string{
		"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "last", "openmas.agent": "c", "openmas.caller": "b",
		"openmas.communicator": "mcp-stdio", "openmas.depth": "1", "network.transport": "pipe", "error.type": "",
	})
	wantAttrs(t, inC, map[attribute.Key]string{"openmas.instance": "c/0", "openmas.attempt": "1", "gen_ai.tool.name": "last", "openmas.call.id": attr(toC, "openmas.call.id")})
	if attr(toC, "openmas.call.id") == "" || toC.Status.Code != codes.Unset {
		t.Errorf("%+v", toC)
	}
}

// What enters with a foreign parent and baggage keeps both, whichever of the two processes makes spans.
func TestAForeignTraceGoesOn(t *testing.T) {
	for _, on := range [][2]bool{{true, true}, {true, false}, {false, true}, {false, false}} {
		t.Run(fmt.Sprintf("near %v far %v", on[0], on[1]), func(t *testing.T) {
			var tels [2]*Telemetry
			var recs [2]*recorder
			for i := range on {
				if on[i] {
					recs[i] = record(t)
					tels[i] = recs[i].Telemetry
				}
			}
			env, _ := agent.EnvFrom(crew(t, tels[0], tels[1]))
			meta := map[string]string{"traceparent": foreignParent, "tracestate": "v=1", "baggage": "user=ann", "other": "x"}
			res, err := env.Directory.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "b", Name: "middle", Meta: meta})
			if err != nil {
				t.Fatal(err)
			}
			if on[1] && res.Text() != "user=ann" {
				t.Errorf("baggage is %q at the end", res.Text())
			}
			if len(meta) != 4 || meta["traceparent"] != foreignParent {
				t.Errorf("the caller's metadata was changed: %v", meta)
			}
			if on[0] {
				s := recs[0].spans()
				if first := s["client tools/call b.middle"]; len(s) != 3 || first.Parent.SpanID().String() != foreignSpan || first.SpanContext.TraceID().String() != foreignTrace || !first.Parent.IsRemote() {
					t.Errorf("%+v", s)
				}
			}
			if on[1] {
				last := recs[1].spans()["server tools/call c.last"]
				if last.SpanContext.TraceID().String() != foreignTrace || last.SpanContext.TraceState().String() != "v=1" {
					t.Errorf("%+v", last)
				}
				want := foreignSpan
				if on[0] {
					want = recs[0].spans()["client tools/call c.last"].SpanContext.SpanID().String()
				}
				if last.Parent.SpanID().String() != want {
					t.Errorf("parent is %s, want %s", last.Parent.SpanID(), want)
				}
			}
		})
	}
}

// A call that holds the trace of another, as one does that is passed on, is sent with that of its own span only.
func TestClientReplacesStaleTraceContext(t *testing.T) {
	r := record(t)
	var got map[string]string
	c := r.Client(Hop{Communicator: "mcp-sse"})(agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		got = c.Meta
		return answer, nil
	}))
	ctx, span := r.tracer.Start(t.Context(), "x")
	defer span.End()
	meta := map[string]string{"traceparent": foreignParent, "tracestate": "v=1", "baggage": "user=ann", "other": "x"}
	if _, err := c.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t", Meta: meta}); err != nil {
		t.Fatal(err)
	}
	s := r.spans()["client tools/call a.t"].SpanContext
	if len(got) != 2 || got["other"] != "x" || got["traceparent"] != fmt.Sprintf("00-%s-%s-01", s.TraceID(), s.SpanID()) {
		t.Errorf("%v", got)
	}
}

func TestServerLinksTheAmbientSpan(t *testing.T) {
	r := record(t)
	ctx, ambient := r.tracer.Start(t.Context(), "POST /mcp")
	srv := r.Server(Hop{Communicator: "mcp-http"})(ok())
	call := func(meta map[string]string) {
		if _, err := srv.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t", Meta: meta}); err != nil {
			t.Fatal(err)
		}
	}
	last := func() tracetest.SpanStub {
		s := r.spans()["server tools/call a.t"]
		r.exp.Reset()
		return s
	}
	call(map[string]string{"traceparent": foreignParent})
	if s := last(); s.Parent.SpanID().String() != foreignSpan || len(s.Links) != 1 || !s.Links[0].SpanContext.Equal(ambient.SpanContext()) {
		t.Errorf("%+v", s)
	}
	for name, meta := range map[string]map[string]string{"none": nil, "malformed": {"traceparent": "00-zz", "baggage": ";;="}, "the ambient one": inject(ctx, nil)} {
		call(meta)
		if s := last(); s.Parent.SpanID() != ambient.SpanContext().SpanID() || len(s.Links) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	ambient.End()
}

func TestErrorsAndRetries(t *testing.T) {
	r := record(t)
	attempts := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		r.AddRetryEvent(ctx, 2, 150*time.Millisecond, agent.Errorf(agent.CodeUnavailable, "s3cr3t"))
		r.AddRetryEvent(ctx, 3, time.Second, agent.Errorf(agent.CodeOutcomeUnknown, "s3cr3t"))
		return nil, fmt.Errorf("s3cr3t: %w", agent.Errorf(agent.CodeToolFailed, "s3cr3t"))
	})
	_, err := r.Client(Hop{Communicator: "pubsub", System: "nats"})(attempts).Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
	if !errors.Is(err, agent.CodeToolFailed) {
		t.Fatal(err)
	}
	s := r.spans()["client tools/call a.t"]
	wantAttrs(t, s, map[attribute.Key]string{"error.type": "tool_failed", "openmas.attempts": "3", "messaging.system": "nats"})
	if s.Status.Code != codes.Error || len(s.Events) != 2 || s.Events[0].Name != "retry" {
		t.Fatalf("%+v", s)
	}
	for _, kv := range s.Events[0].Attributes {
		if want := map[attribute.Key]string{"openmas.attempt": "2", "openmas.retry.waited": "0.15", "error.type": "unavailable"}[kv.Key]; kv.Value.Emit() != want {
			t.Errorf("%s is %s, want %q", kv.Key, kv.Value.Emit(), want)
		}
	}
}

func TestAPanicEndsTheSpan(t *testing.T) {
	r := record(t)
	bad := agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) { panic("s3cr3t") })
	for _, f := range []func(){
		func() {
			_, _ = r.Server(Hop{Communicator: "local"})(bad).Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
		},
		func() { _ = r.Runner("a", func(context.Context) error { panic("s3cr3t") })(t.Context()) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			f()
		}()
	}
	s := r.spans()
	for _, name := range []string{"server tools/call a.t", "internal invoke_agent a"} {
		wantAttrs(t, s[name], map[attribute.Key]string{"error.type": "internal"})
	}
	if strings.Contains(fmt.Sprintf("%+v", s), "s3cr3t") {
		t.Errorf("%+v", s)
	}
}

func TestNamesKindsAndNothingSecret(t *testing.T) {
	r := record(t)
	fail := agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "s3cr3t")
	})
	for _, c := range []struct {
		hop  Hop
		call agent.Call
		want string
	}{
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}, "server tools/call a.t"},
		{Hop{Communicator: "pubsub"}, agent.Call{Op: agent.OpTool, Agent: "b", Name: "t"}, "consumer tools/call b.t"},
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpPrompt, Agent: "a", Name: "p"}, "server prompts/get a.p"},
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpResource, Agent: "a", Name: "file:///s3cr3t"}, "server resources/read a"},
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpComplete, Agent: "a", Name: "x://s3cr3t"}, "server completion/complete a"},
		{Hop{Communicator: "local"}, agent.Call{Op: agent.OpEvent, Agent: "a", Name: "file.found"}, "consumer process file.found"},
		{Hop{Communicator: "local"}, agent.Call{Op: "new", Agent: "a", Name: "s3cr3t"}, "server new a"},
		{Hop{Communicator: "local"}, agent.Call{Op: agent.OpTool, Agent: "a", Name: "\xff" + strings.Repeat("é", 200)}, "server tools/call a.\uFFFD" + strings.Repeat("é", 62)},
	} {
		c.call.Input, c.call.Meta, c.call.Key = []byte(`{"password":"s3cr3t"}`), map[string]string{"authorization": "s3cr3t", "baggage": "k=s3cr3t"}, "s3cr3t"
		if _, err := r.Server(c.hop)(fail).Call(t.Context(), &c.call); err == nil {
			t.Error("no error")
		}
		s := r.spans()
		if _, ok := s[c.want]; !ok || len(s) != 1 {
			t.Errorf("want %q, got %v", c.want, s)
		}
		wantAttrs(t, s[c.want], map[attribute.Key]string{"openmas.attempt": "1", "error.type": "invalid_argument"})
		if text := fmt.Sprintf("%+v", s); strings.Contains(text, "s3cr3t") {
			t.Error(text)
		}
		r.exp.Reset()
	}
}

type publisherFunc func(context.Context, agent.Publication) error

func (f publisherFunc) Publish(ctx context.Context, p agent.Publication) error { return f(ctx, p) }

func TestEventsKeepTheTrace(t *testing.T) {
	r := record(t)
	deliver := r.Server(Hop{Communicator: "pubsub", System: "memory"})(ok())
	bus := publisherFunc(func(_ context.Context, p agent.Publication) error {
		_, err := deliver.Call(context.Background(), &agent.Call{ID: p.ID, Op: agent.OpEvent, Agent: "b", Name: p.Topic, Meta: p.Meta, Attempt: 2})
		return err
	})
	env := agent.Env{Name: "a", Publisher: r.Publisher("memory", bus)}
	if err := env.Publish(t.Context(), "file.found", "x", agent.EventID("e1")); err != nil {
		t.Fatal(err)
	}
	s := r.spans()
	send, process := s["producer send file.found"], s["consumer process file.found"]
	wantChild(t, process, send)
	wantAttrs(t, send, map[attribute.Key]string{"messaging.system": "memory", "messaging.destination.name": "file.found", "messaging.message.id": "e1", "openmas.agent": "a"})
	wantAttrs(t, process, map[attribute.Key]string{"openmas.call.id": "e1", "openmas.attempt": "2", "messaging.operation.name": "process"})

	// Off: what the served call brought along goes on.
	var off *Telemetry
	var got map[string]string
	h := host(t, "b", nil, agent.NewTool("t", "d", func(ctx context.Context, _ struct{}) (string, error) {
		return "", off.Publisher("memory", publisherFunc(func(_ context.Context, p agent.Publication) error { got = p.Meta; return nil })).
			Publish(ctx, agent.Publication{Topic: "x"})
	}))
	if _, err := h.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "t", Meta: map[string]string{"traceparent": foreignParent, "other": "x"}}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got["traceparent"] != foreignParent {
		t.Errorf("%v", got)
	}
}

func TestOffIsNothing(t *testing.T) {
	for name, off := range map[string]*Telemetry{"nil": nil, "zero": {}} {
		next := &pointer{}
		if got := off.Server(Hop{})(next); got != agent.Caller(next) {
			t.Errorf("%s: Server is %T", name, got)
		}
		off.AddRetryEvent(t.Context(), 2, 0, errors.New("x"))
		if err := errors.Join(off.Flush(t.Context()), off.Shutdown(t.Context())); err != nil || off.On() {
			t.Error(name, err)
		}
		ran := false
		if err := off.Runner("a", func(context.Context) error { ran = true; return nil })(t.Context()); err != nil || !ran {
			t.Error(name, err)
		}
	}
}

func TestOffPassesOnWhatIsMissing(t *testing.T) {
	long := strings.Repeat("x", maxPassed+1)
	for _, c := range []struct{ served, own, want map[string]string }{
		{nil, nil, nil},
		{map[string]string{"other": "x"}, map[string]string{"k": "v"}, map[string]string{"k": "v"}},
		{map[string]string{"traceparent": foreignParent, "tracestate": "v=1", "other": "x"}, nil, map[string]string{"traceparent": foreignParent, "tracestate": "v=1"}},
		{map[string]string{"traceparent": foreignParent, "baggage": long}, nil, map[string]string{"traceparent": foreignParent}},
		{map[string]string{"traceparent": foreignParent, "baggage": "a=b"}, map[string]string{"traceparent": "own"}, map[string]string{"traceparent": "own"}},
		{map[string]string{"traceparent": foreignParent, "baggage": "a=b"}, map[string]string{"baggage": "own=1", "k": "v"},
			map[string]string{"traceparent": foreignParent, "baggage": "own=1", "k": "v"}},
	} {
		var off *Telemetry
		var got, before map[string]string
		client := off.Client(Hop{})(agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) { got = c.Meta; return answer, nil }))
		h := host(t, "a", nil, agent.NewTool("t", "d", func(ctx context.Context, _ struct{}) (string, error) {
			before = maps.Clone(c.own)
			_, err := client.Call(ctx, &agent.Call{Agent: "b", Name: "t", Meta: c.own})
			return "", err
		}))
		if _, err := h.Call(t.Context(), &agent.Call{Op: agent.OpTool, Name: "t", Meta: c.served}); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(got, c.want) || !maps.Equal(before, c.own) {
			t.Errorf("served %v, own %v: %v, want %v", c.served, before, got, c.want)
		}
	}
}

type pointer struct{ n int }

func (p *pointer) Call(context.Context, *agent.Call) (*agent.Result, error) { p.n++; return nil, nil }

var answer = &agent.Result{}

func ok() agent.Caller {
	return agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) { return answer, nil })
}

func TestOffAllocatesNothing(t *testing.T) {
	var off *Telemetry
	c := &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}
	hop := Hop{Communicator: "mcp-stdio"}
	chain := agent.Chain(ok(), off.Client(hop), off.Server(hop))
	ctx := agent.WithEnv(t.Context(), agent.Env{Name: "me"})
	if n := testing.AllocsPerRun(1000, func() { _, _ = chain.Call(ctx, c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The two ends of one call, without what is between them.
func BenchmarkCall(b *testing.B) {
	run := func(name string, setup func(b *testing.B) *Telemetry) {
		for _, hop := range []Hop{{Communicator: "local"}, {Communicator: "mcp-stdio"}} {
			b.Run(name+"/"+hop.Communicator, func(b *testing.B) {
				tel := setup(b)
				chain := agent.Chain(ok(), tel.Client(hop), tel.Server(hop))
				ctx := agent.WithEnv(b.Context(), agent.Env{Name: "me"})
				c := &agent.Call{ID: "x", Op: agent.OpTool, Agent: "geo", Name: "locate", Caller: "me"}
				b.ReportAllocs()
				for b.Loop() {
					_, _ = chain.Call(ctx, c)
				}
			})
		}
	}
	on := func(b *testing.B) *Telemetry {
		tel, err := Setup(b.Context(), Config{Exporter: tracetest.NewNoopExporter()})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
		return tel
	}
	run("off", func(*testing.B) *Telemetry { return nil })
	run("sampled out", func(b *testing.B) *Telemetry {
		b.Setenv("OTEL_TRACES_SAMPLER", "always_off")
		return on(b)
	})
	run("recorded", on)
}
