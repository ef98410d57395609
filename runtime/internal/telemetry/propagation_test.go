package telemetry

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/openmas/openmas/agent"
)

// wire is the border of a process: only what is in the call crosses it.
func wire(next agent.Caller) agent.Caller {
	return agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
		return next.Call(context.Background(), c)
	})
}

// crew is a context in which an agent a can call b.middle, locally, which calls c.last over a wire.
// near makes the spans on this side of it, far beyond it.
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
	run, toB, inB := here["internal invoke_agent a"], here["client tools/call b.middle"],
		here["server tools/call b.middle"]
	toC, inC := here["client tools/call c.last"], there["server tools/call c.last"]
	for _, edge := range [][2]tracetest.SpanStub{{toB, run}, {inB, toB}, {toC, inB}, {inC, toC}} {
		wantChild(t, edge[0], edge[1])
	}
	if !inC.Parent.IsRemote() || inB.Parent.IsRemote() || run.Parent.IsValid() {
		t.Error("remote parents are wrong")
	}
	wantAttrs(t, run, map[attribute.Key]string{"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a",
		"error.type": ""})
	wantAttrs(t, toB, map[attribute.Key]string{"gen_ai.agent.name": "b", "openmas.caller": "a",
		"openmas.communicator": "local", "openmas.attempts": "1", "openmas.depth": "0", "network.transport": ""})
	wantAttrs(t, toC, map[attribute.Key]string{
		"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "last",
		"gen_ai.agent.name": "c", "openmas.caller": "b",
		"openmas.communicator": "mcp-stdio", "openmas.depth": "1", "network.transport": "pipe", "error.type": "",
	})
	wantAttrs(t, inC, map[attribute.Key]string{"openmas.instance": "c/0", "openmas.attempt": "1",
		"gen_ai.tool.name": "last", "openmas.call.id": attr(toC, "openmas.call.id")})
	if attr(toC, "openmas.call.id") == "" || toC.Status.Code != codes.Unset {
		t.Errorf("%+v", toC)
	}
}

// What enters with a foreign parent and baggage keeps both, whichever of the two processes makes
// spans.
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
			meta := map[string]string{"traceparent": foreignParent, "tracestate": "v=1", "baggage": "user=ann",
				"other": "x"}
			res, err := env.Directory.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "b", Name: "middle",
				Meta: meta})
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
				if first := s["client tools/call b.middle"]; len(s) != 3 ||
					first.Parent.SpanID().String() != foreignSpan ||
					first.SpanContext.TraceID().String() != foreignTrace || !first.Parent.IsRemote() {
					t.Errorf("%+v", s)
				}
			}
			if on[1] {
				last := recs[1].spans()["server tools/call c.last"]
				if last.SpanContext.TraceID().String() != foreignTrace ||
					last.SpanContext.TraceState().String() != "v=1" {
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

// A call that is passed on for one of our own processes gets no second span of a caller, whether it
// is sampled or not. Calls of strangers do.
func TestARelayedCall(t *testing.T) {
	for _, tt := range []struct {
		name, flags string
		trusted     bool
		want        []string
	}{
		{"ours", "01", true, []string{"server tools/call b.t", "server tools/call c.t", "client tools/call c.t"}},
		{"ours, not sampled", "00", true, nil},
		{"a stranger's", "01", false, []string{"client tools/call b.t", "server tools/call b.t",
			"server tools/call c.t",
			"client tools/call c.t"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := record(t)
			hop := Hop{Communicator: "mcp-http"}
			end := agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
				if !strings.Contains(c.Meta[traceparent], foreignTrace) {
					t.Errorf("the trace is lost: %v", c.Meta)
				}
				return answer, nil
			})
			toC := agent.Chain(end, r.Client(hop), r.Server(hop))
			b := host(t, "b", toC, agent.NewTool("t", "d", func(ctx context.Context, _ struct{}) (string, error) {
				return agent.Ask[string](ctx, "c.t", nil)
			}))
			in := agent.Chain(b, r.Relay, r.Client(hop), r.Server(hop))
			if _, err := in.Call(t.Context(), &agent.Call{Op: agent.OpTool, Agent: "b", Name: "t",
				From: agent.Identity{Agent: "a", Trusted: tt.trusted},
				Meta: map[string]string{"traceparent": "00-" + foreignTrace + "-" + foreignSpan + "-" +
					tt.flags}}); err != nil {
				t.Fatal(err)
			}
			s := r.spans()
			for _, name := range tt.want {
				if _, ok := s[name]; !ok {
					t.Errorf("no span %q", name)
				}
			}
			if len(s) != len(tt.want) {
				t.Errorf("%d spans, want %d", len(s), len(tt.want))
			}
			if tt.trusted && len(s) > 0 && s["server tools/call b.t"].Parent.SpanID().String() != foreignSpan {
				t.Error("the callee's span is no child of the caller's")
			}
		})
	}
}

// A call that holds the trace of another, as one does that is passed on, is sent with that of its
// own span only.
func TestClientReplacesStaleTraceContext(t *testing.T) {
	r := record(t)
	var got map[string]string
	c := r.Client(Hop{Communicator: "mcp-sse"})(
		agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			got = c.Meta
			return answer, nil
		}))
	ctx, span := r.tracer("x").Start(t.Context(), "x")
	defer span.End()
	meta := map[string]string{"traceparent": foreignParent, "tracestate": "v=1", "baggage": "user=ann", "other": "x"}
	if _, err := c.Call(ctx, &agent.Call{Op: agent.OpTool, Agent: "a", Name: "t", Meta: meta}); err != nil {
		t.Fatal(err)
	}
	s := r.spans()["client tools/call a.t"].SpanContext
	if len(got) != 2 || got["other"] != "x" || got["traceparent"] != fmt.Sprintf("00-%s-%s-01", s.TraceID(),
		s.SpanID()) {
		t.Errorf("%v", got)
	}
}

func TestServerLinksTheAmbientSpan(t *testing.T) {
	r := record(t)
	ctx, ambient := r.tracer("x").Start(t.Context(), "POST /mcp")
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
	if s := last(); s.Parent.SpanID().String() != foreignSpan || len(s.Links) != 1 ||
		!s.Links[0].SpanContext.Equal(ambient.SpanContext()) {
		t.Errorf("%+v", s)
	}
	for name, meta := range map[string]map[string]string{"none": nil,
		"malformed": {"traceparent": "00-zz", "baggage": ";;="}, "the ambient one": inject(ctx, nil)} {
		call(meta)
		if s := last(); s.Parent.SpanID() != ambient.SpanContext().SpanID() || len(s.Links) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	ambient.End()
}

func TestOffPassesOnWhatIsMissing(t *testing.T) {
	long := strings.Repeat("x", maxPassed+1)
	for _, c := range []struct{ served, own, want map[string]string }{
		{nil, nil, nil},
		{map[string]string{"other": "x"}, map[string]string{"k": "v"}, map[string]string{"k": "v"}},
		{map[string]string{"traceparent": foreignParent, "tracestate": "v=1", "other": "x"}, nil,
			map[string]string{"traceparent": foreignParent, "tracestate": "v=1"}},
		{map[string]string{"traceparent": foreignParent, "baggage": long}, nil,
			map[string]string{"traceparent": foreignParent}},
		{map[string]string{"traceparent": foreignParent, "baggage": "a=b"}, map[string]string{"traceparent": "own"},
			map[string]string{"traceparent": "own"}},
		{map[string]string{"traceparent": foreignParent, "baggage": "a=b"},
			map[string]string{"baggage": "own=1", "k": "v"},
			map[string]string{"traceparent": foreignParent, "baggage": "own=1", "k": "v"}},
	} {
		var off *Telemetry
		var got, before map[string]string
		client := off.Client(Hop{})(agent.CallerFunc(func(_ context.Context, c *agent.Call) (*agent.Result, error) {
			got = c.Meta
			return answer, nil
		}))
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

// What carried a call is told of those that may be recorded.
func TestWants(t *testing.T) {
	var off *Telemetry
	if off.Wants() != nil {
		t.Error("without telemetry it is of interest")
	}
	for _, parentDecides := range []bool{true, false} {
		on := record(t)
		on.parentDecides = parentDecides
		for parent, want := range map[string]bool{"": true, foreignParent: true, "nonsense": true,
			strings.TrimSuffix(foreignParent, "01") + "00": !parentDecides} {
			if got := on.Wants()(map[string]string{traceparent: parent}); got != want {
				t.Errorf("parent decides %v, %q: %v", parentDecides, parent, got)
			}
		}
	}
}
