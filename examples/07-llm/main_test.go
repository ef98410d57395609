package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/openmas/openmas/agent/agenttest"
	"github.com/openmas/openmas/internal/testkit"
	"github.com/openmas/openmas/runtime"
	"github.com/openmas/openmas/runtime/project"
)

// mainVar in the environment makes the test binary the program of this package.
const mainVar = "OPENMAS_TEST_MAIN"

// hang is a generous bound on what must not take for ever.
const hang = 2 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(mainVar) != "" || os.Getenv(runtime.ChildVar) != "" {
		main()
	}
	os.Exit(m.Run())
}

// golden compares a text with a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv(agenttest.UpdateGolden) != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || strings.ReplaceAll(string(want), "\r\n", "\n") != got {
		t.Errorf("%v; it differs from %s:\n%s", err, file, got)
	}
}

// The program, as users run it, prints the same each time.
func TestProgram(t *testing.T) {
	testkit.Processes(t)
	for file, args := range map[string][]string{
		"expected.txt": nil,
		"declined.txt": {"--set", "agents.visitor.config.approve=false"},
	} {
		t.Run(file, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), hang)
			defer cancel()
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(ctx, exe, append([]string{"run", "--once", "openmas.yaml", "--listen",
				"127.0.0.1:0", "--set", "state=" + t.TempDir(), "--set", "agents.calculator.env={GORACE: " +
					testkit.NoExitSleep + "}"}, args...)...)
			cmd.Env = append(os.Environ(), mainVar+"=1", "GORACE="+testkit.NoExitSleep)
			var out, log bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &log
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, &log)
			}
			golden(t, filepath.Join("testdata", file), out.String())
		})
	}
}

// spans runs the project with the visitor's question and returns its spans.
func spans(t *testing.T, set ...string) tracetest.SpanStubs {
	t.Helper()
	cfg, err := project.Load("openmas.yaml", project.Options{Set: append([]string{"state=" + t.TempDir(),
		"gateway=off", "agents.calculator.communicator=local"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	memory := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(memory))
	var out testkit.Buffer
	r, err := runtime.New(cfg, types(), runtime.Options{Output: &out, TracerProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	testkit.Eventually(t, "the visitor has its answer", func() bool {
		return slices.ContainsFunc(memory.GetSpans(), func(s tracetest.SpanStub) bool {
			return s.Name == "invoke_agent visitor"
		})
	}, &out)
	cancel()
	if err := testkit.Receive(t, ended); err != nil {
		t.Error(err)
	}
	return memory.GetSpans()
}

// tree is the trace below a span, as names and the attribute that says most.
func tree(all tracetest.SpanStubs, parent tracetest.SpanStub, indent string) (text string) {
	var below tracetest.SpanStubs
	for _, s := range all {
		if s.Parent.SpanID() == parent.SpanContext.SpanID() {
			below = append(below, s)
		}
	}
	slices.SortFunc(below, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	for _, s := range below {
		line := fmt.Sprintf("%s%s %s", indent, s.SpanKind, s.Name)
		for _, key := range []string{"gen_ai.response.finish_reasons", "openmas.approval", "error.type"} {
			if v := attr(s, key); v != "" {
				line += " " + v
			}
		}
		text += line + "\n" + tree(all, s, indent+"  ")
	}
	return text
}

func attr(s tracetest.SpanStub, key string) string {
	set := attribute.NewSet(s.Attributes...)
	v, _ := set.Value(attribute.Key(key))
	return v.String()
}

// A question is one trace, with what the model was asked, the tools and the approvals in it. What
// was said is not recorded unless the project file wants it.
func TestTrace(t *testing.T) {
	all := spans(t)
	root := all[slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.Name == "invoke_agent visitor" })]
	golden(t, filepath.Join("testdata", "trace.txt"), root.Name+"\n"+tree(all, root, "  "))
	for _, s := range all {
		if s.SpanContext.TraceID() != root.SpanContext.TraceID() {
			t.Errorf("%s is in another trace", s.Name)
		}
		for _, kv := range s.Attributes {
			if strings.HasSuffix(string(kv.Key), ".messages") || strings.Contains(kv.Value.String(), "novels") {
				t.Errorf("%s records %s", s.Name, kv.Key)
			}
		}
		if !strings.HasPrefix(s.Name, "chat ") {
			continue
		}
		for key, want := range map[string]string{"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
			"gen_ai.request.model": "scripted", "gen_ai.response.model": "scripted", "server.address": "127.0.0.1"} {
			if got := attr(s, key); got != want {
				t.Errorf("%s of %s is %q, want %q", key, s.Name, got, want)
			}
		}
		for _, key := range []string{"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "server.port",
			"gen_ai.response.id"} {
			if attr(s, key) == "" {
				t.Errorf("%s has no %s", s.Name, key)
			}
		}
	}
}

func TestTraceWithContent(t *testing.T) {
	all := spans(t, "agents.assistant.config.model.record=true", "agents.visitor.config.approve=false")
	var last tracetest.SpanStub
	for _, s := range all {
		if strings.HasPrefix(s.Name, "chat ") && s.StartTime.After(last.StartTime) {
			last = s
		}
	}
	in, out := attr(last, "gen_ai.input.messages"), attr(last, "gen_ai.output.messages")
	for _, want := range []string{
		`{"role":"user","parts":[{"type":"text","content":"Add up my receipts, note the sum, and delete them."}]}`,
		`{"type":"tool_call","id":"call-1","name":"notes_list","arguments":{}}`,
		`{"role":"tool","parts":[{"type":"tool_call_response","id":"call-3","response":"two novels 31.5"}]}`,
	} {
		if !strings.Contains(in, want) {
			t.Errorf("the input is %s", in)
		}
	}
	if want := `[{"role":"assistant","parts":[{"type":"text","content":"You spent 35.7, which is in the note ` +
		`\"spent\". I deleted nothing more, since I may not."}],"finish_reason":"stop"}]`; out != want {
		t.Errorf("the output is %s, want %s", out, want)
	}
}
