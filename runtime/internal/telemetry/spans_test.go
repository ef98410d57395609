package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/openmas/openmas/agent"
	"github.com/openmas/openmas/internal/calls"
	"github.com/openmas/openmas/runtime/internal/resilience"
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

func record(t testing.TB) *recorder { return recordContent(t, ContentErrors) }

func recordContent(t testing.TB, content string) *recorder {
	t.Helper()
	exp := tracetest.NewInMemoryExporter()
	hide := strings.NewReplacer("s3cr3t", "***")
	tel, err := Setup(t.Context(), Config{Exporter: exp, Content: content, Mask: hide.Replace})
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
			return kv.Value.String()
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
	if child.Parent.SpanID() != parent.SpanContext.SpanID() ||
		child.SpanContext.TraceID() != parent.SpanContext.TraceID() {
		t.Errorf("%q is no child of %q", child.Name, parent.Name)
	}
}

type directory struct{ agent.Caller }

func (directory) Agents() []agent.Info            { return nil }
func (directory) Agent(string) (agent.Info, bool) { return agent.Info{}, false }

func host(t *testing.T, name string, dir agent.Caller, tools ...agent.Tool) agent.Caller {
	t.Helper()
	h, err := agent.NewHost(agent.Env{Name: name, Directory: directory{dir}}, agent.Capabilities{Tools: tools})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestErrorsAndRetries(t *testing.T) {
	r := record(t)
	hop := Hop{Communicator: "pubsub", System: "nats", Destination: "om.1.p.call.a"}
	served := agent.Chain(ok(), wire, r.Server(hop))
	attempts := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		second := *c
		second.Attempt = 2
		sub, end := r.Attempt(ctx, hop, &second, 150*time.Millisecond, agent.Errorf(agent.CodeUnavailable, "s3cr3t"))
		_, _ = served.Call(sub, &second)
		end(agent.Errorf(agent.CodeUnavailable, "still"))
		return nil, fmt.Errorf("why: %w", agent.Errorf(agent.CodeToolFailed, "s3cr3t"))
	})
	_, err := r.Client(hop)(attempts).Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
	if !errors.Is(err, agent.CodeToolFailed) {
		t.Fatal(err)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := r.exp.GetSpans() // in the order of their ends
	if len(spans) != 3 {
		t.Fatalf("%v", spans)
	}
	served2, again, call := spans[0], spans[1], spans[2]
	wantChild(t, again, call)
	wantChild(t, served2, again)
	for _, s := range spans {
		wantAttrs(t, s, map[attribute.Key]string{"messaging.system": "nats",
			"messaging.destination.name": "om.1.p.call.a"})
	}
	if call.SpanKind != trace.SpanKindClient || again.SpanKind != trace.SpanKindClient ||
		served2.SpanKind != trace.SpanKindServer {
		t.Error("the kinds are", call.SpanKind, again.SpanKind, served2.SpanKind)
	}
	wantAttrs(t, call, map[attribute.Key]string{"error.type": "tool_error", "openmas.code": "tool_failed",
		"openmas.attempts": "2", "messaging.operation.name": "send"})
	wantAttrs(t, again, map[attribute.Key]string{"error.type": "unavailable", "openmas.attempt": "2",
		"openmas.retry.waited": "0.15"})
	wantAttrs(t, served2, map[attribute.Key]string{"messaging.operation.name": "process", "openmas.attempt": "2"})
	if call.Status.Code != codes.Error || len(call.Events) != 2 || call.Events[0].Name != "retry" {
		t.Fatalf("%+v", call)
	}
	wantEvent(t, call, "retry", map[attribute.Key]string{"openmas.attempt": "2", "openmas.retry.waited": "0.15",
		"openmas.code": "unavailable"})
	wantEvent(t, call, "exception", map[attribute.Key]string{"exception.type": "tool_error",
		"exception.message": "why: tool_failed: ***"})
}

// wantEvent finds an event of a span and compares its attributes.
func wantEvent(t *testing.T, s tracetest.SpanStub, name string, want map[attribute.Key]string) {
	t.Helper()
	i := slices.IndexFunc(s.Events, func(e sdktrace.Event) bool { return e.Name == name })
	if i < 0 {
		t.Errorf("%s has no event %s", s.Name, name)
		return
	}
	wantAttrs(t, tracetest.SpanStub{Name: s.Name + ": " + name, Attributes: s.Events[i].Attributes}, want)
}

func TestAPanicEndsTheSpan(t *testing.T) {
	r := record(t)
	bad := agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) { panic("s3cr3t") })
	for _, f := range []func(){
		func() {
			_, _ = r.Server(Hop{Communicator: "local"})(bad).Call(t.Context(),
				&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
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

// A tool that panics leaves its stack on the callee's span.
func TestTheStackOfAPanic(t *testing.T) {
	r := record(t)
	h := host(t, "a", nil, agent.NewTool("t", "d", func(context.Context, struct{}) (string, error) { panic("s3cr3t") }))
	if _, err := r.Server(Hop{Communicator: "local"})(h).Call(t.Context(),
		&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}); err == nil {
		t.Fatal("no error")
	}
	s := r.spans()["server tools/call a.t"]
	wantEvent(t, s, "exception", map[attribute.Key]string{"exception.message": "a.t panicked: ***"})
	if text := fmt.Sprint(s.Events); !strings.Contains(text, "TestTheStackOfAPanic") {
		t.Error(text)
	}
}

func TestNamesKindsAndContent(t *testing.T) {
	fail := agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) {
		return nil, agent.Errorf(agent.CodeInvalidArgument, "s3cr3t in the error")
	})
	for _, c := range []struct {
		hop  Hop
		call agent.Call
		want string
	}{
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}, "server tools/call a.t"},
		{Hop{Communicator: "pubsub"}, agent.Call{Op: agent.OpTool, Agent: "b", Name: "t"}, "server tools/call b.t"},
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpPrompt, Agent: "a", Name: "p"}, "server prompts/get a.p"},
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpResource, Agent: "a", Name: "file:///content"},
			"server resources/read a"},
		{Hop{Communicator: "mcp-sse"}, agent.Call{Op: agent.OpComplete, Agent: "a", Name: "x://content"},
			"server completion/complete a"},
		{Hop{Communicator: "local"}, agent.Call{Op: agent.OpEvent, Agent: "a", Name: "file.found"},
			"consumer process file.found"},
		{Hop{Communicator: "local"}, agent.Call{Op: "new", Agent: "a", Name: "content"}, "server new a"},
		{Hop{Communicator: "local"}, agent.Call{Op: agent.OpTool, Agent: "a", Name: "\xff" + strings.Repeat("é", 200)},
			"server tools/call a.\uFFFD" + strings.Repeat("é", 62)},
	} {
		for _, content := range []string{ContentNone, ContentErrors, ContentAll} {
			r := recordContent(t, content)
			c.call.Input, c.call.Meta, c.call.Key = []byte(`{"password":"s3cr3t","content":1}`),
				map[string]string{"authorization": "s3cr3t", "baggage": "k=s3cr3t"}, "s3cr3t"
			if _, err := r.Server(c.hop)(fail).Call(t.Context(), &c.call); err == nil {
				t.Error("no error")
			}
			s := r.spans()
			if _, ok := s[c.want]; !ok || len(s) != 1 {
				t.Errorf("want %q, got %v", c.want, s)
			}
			wantAttrs(t, s[c.want], map[attribute.Key]string{"openmas.attempt": "1", "error.type": "",
				"openmas.code": "invalid_argument", "openmas.request.size": "33"})
			text := fmt.Sprintf("%+v", s)
			if strings.Contains(text, "s3cr3t") || strings.Contains(text, "in the error") != (content != ContentNone) ||
				strings.Contains(text, "content") != (content == ContentAll) {
				t.Errorf("content %s: %s", content, text)
			}
		}
	}
}

// What a request does wrong is an error at its caller, and none of its callee.
func TestWhoseErrorItIs(t *testing.T) {
	for code, callee := range map[agent.Code]codes.Code{agent.CodeInvalidArgument: codes.Unset,
		agent.CodeNotFound: codes.Unset, agent.CodeUnimplemented: codes.Unset, agent.CodeToolFailed: codes.Error,
		agent.CodeUnavailable: codes.Error} {
		r := record(t)
		fail := agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) {
			return nil, agent.Errorf(code, "no")
		})
		_, _ = agent.Chain(fail, r.Client(Hop{}), r.Server(Hop{})).Call(t.Context(),
			&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
		s := r.spans()
		if got := s["client tools/call a.t"].Status.Code; got != codes.Error {
			t.Errorf("%s: %v at the caller", code, got)
		}
		if got := s["server tools/call a.t"].Status.Code; got != callee {
			t.Errorf("%s: %v at the callee", code, got)
		}
	}
}

// Sizes, the time that is left, progress and a deadline that the tool overran are visible.
func TestWhatAToolDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		exp := tracetest.NewInMemoryExporter()
		tel, err := Setup(t.Context(), Config{Exporter: exp, Content: ContentAll, Environ: env(nil)})
		if err != nil {
			t.Fatal(err)
		}
		slow := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
			c.Back.Notify(ctx, agent.Notice{Progress: &agent.ProgressNotice{Progress: 1, Total: 2}})
			time.Sleep(3 * time.Second)
			return agent.TextResult("hello"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := tel.Server(Hop{})(slow).Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t",
			Input: []byte("{}"), Back: agent.BackChannelFuncs{}}); err != nil {
			t.Fatal(err)
		}
		if err := tel.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := exp.GetSpans()[0]
		wantAttrs(t, s, map[attribute.Key]string{"openmas.request.size": "2", "openmas.response.size": "5",
			"openmas.deadline.left": "2", "openmas.deadline.overrun": "1", "gen_ai.tool.call.arguments": "{}",
			"gen_ai.tool.call.result": "hello"})
		wantEvent(t, s, "progress", map[attribute.Key]string{"openmas.progress": "1", "openmas.progress.total": "2"})
		if err := tel.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

type publisherFunc func(context.Context, agent.Event) error

func (f publisherFunc) Publish(ctx context.Context, p agent.Event) error { return f(ctx, p) }

func TestEventsKeepTheTrace(t *testing.T) {
	r := record(t)
	deliver := r.Server(Hop{Communicator: "pubsub", System: "memory"})(ok())
	bus := publisherFunc(func(_ context.Context, p agent.Event) error {
		_, err := deliver.Call(context.Background(), &agent.Call{ID: p.ID, Op: agent.OpEvent, Agent: "b", Name: p.Topic,
			Meta: p.Meta, Attempt: 2})
		return err
	})
	env := agent.Env{Name: "a", Publisher: r.Publisher("memory", bus)}
	if err := env.Publish(t.Context(), "file.found", "x", agent.EventID("e1")); err != nil {
		t.Fatal(err)
	}
	s := r.spans()
	send, process := s["producer send file.found"], s["consumer process file.found"]
	wantChild(t, process, send)
	wantAttrs(t, send, map[attribute.Key]string{"messaging.system": "memory",
		"messaging.destination.name": "file.found", "messaging.message.id": "e1", "gen_ai.agent.name": "a"})
	wantAttrs(t, process, map[attribute.Key]string{"messaging.message.id": "e1", "openmas.attempt": "2",
		"messaging.operation.name": "process"})

	// Off: what the served call brought along goes on.
	var off *Telemetry
	var got map[string]string
	h := host(t, "b", nil, agent.NewTool("t", "d", func(ctx context.Context, _ struct{}) (string, error) {
		return "", off.Publisher("memory", publisherFunc(func(_ context.Context, p agent.Event) error {
			got = p.Meta
			return nil
		})).
			Publish(ctx, agent.Event{Topic: "x"})
	}))
	if _, err := h.Call(t.Context(),
		&agent.Call{Op: agent.OpTool, Name: "t",
			Meta: map[string]string{"traceparent": foreignParent, "other": "x"}}); err != nil {
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
		c := &agent.Call{}
		if ctx, end := off.Attempt(t.Context(), Hop{}, c, 0, errors.New("x")); ctx != t.Context() || end != nil {
			t.Errorf("%s: an attempt has a span", name)
		}
		if err := errors.Join(off.Flush(t.Context()), off.Shutdown(t.Context())); err != nil || off.On() {
			t.Error(name, err)
		}
		ran := false
		if err := off.Runner("a", func(context.Context) error {
			ran = true
			return nil
		})(t.Context()); err != nil || !ran {
			t.Error(name, err)
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
				ctx := agent.WithEnv(b.Context(), agent.Env{Name: "me"})
				away := func(next agent.Caller) agent.Caller { // what is in the context does not cross a wire
					if hop.Communicator == local {
						return next
					}
					return agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
						return next.Call(ctx, c)
					})
				}
				chain := agent.Chain(ok(), tel.Client(hop), away, tel.Server(hop))
				c := &agent.Call{ID: "x", Op: agent.OpTool, Agent: "geo", Name: "locate",
					From: agent.Identity{Agent: "me"}}
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

// What carried a call is on the spans of both its ends, and on none below.
func TestWhatCarriedACall(t *testing.T) {
	r := record(t)
	inner := agent.Chain(ok(), r.Client(Hop{Communicator: local}), r.Server(Hop{Communicator: local}))
	below := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		return inner.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "b", Name: "t"})
	})
	wire := agent.CallerFunc(func(ctx context.Context, c *agent.Call) (*agent.Result, error) {
		*calls.SentBy(ctx) = calls.Request{ID: "7", Version: "2025-11-25", Session: "abc", Peer: "[::1]:80",
			Code: -32602}
		came := &calls.Request{ID: "7", Peer: "10.0.0.1:4711", Queued: time.Second}
		came.SetSession("0123456789")
		return r.Server(Hop{Communicator: "mcp-http"})(below).Call(calls.Arrived(context.Background(), came), c)
	})
	if _, err := r.Client(Hop{Communicator: "mcp-http"})(wire).Call(t.Context(),
		&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"}); err != nil {
		t.Fatal(err)
	}
	s := r.spans()
	wantAttrs(t, s["client tools/call a.t"], map[attribute.Key]string{"jsonrpc.request.id": "7",
		"mcp.protocol.version": "2025-11-25", "mcp.session.id": "abc", "rpc.response.status_code": "-32602",
		"server.address": "::1", "server.port": "80", "client.address": ""})
	wantAttrs(t, s["server tools/call a.t"], map[attribute.Key]string{"jsonrpc.request.id": "7",
		"mcp.session.id": "01234567", "client.address": "10.0.0.1", "client.port": "4711",
		"openmas.queue.waited": "1", "server.address": "", "rpc.response.status_code": ""})
	for _, name := range []string{"client tools/call b.t", "server tools/call b.t"} {
		wantAttrs(t, s[name], map[attribute.Key]string{"gen_ai.agent.name": "b", "jsonrpc.request.id": "",
			"client.address": "", "mcp.session.id": ""})
	}
}

func TestACallThatABreakerRefuses(t *testing.T) {
	r := record(t)
	refuses := agent.CallerFunc(func(context.Context, *agent.Call) (*agent.Result, error) {
		return nil, agent.Refusedf(agent.CodeUnavailable, "a.t: %w", resilience.ErrOpen)
	})
	_, _ = r.Client(Hop{Communicator: "mcp-http"})(refuses).Call(t.Context(),
		&agent.Call{Op: agent.OpTool, Agent: "a", Name: "t"})
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantAttrs(t, r.exp.GetSpans()[0], map[attribute.Key]string{"openmas.breaker": "open",
		"openmas.code": "unavailable"})
}
